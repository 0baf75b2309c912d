// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

const (
	// progressTime is how long it is known how far somebody has come with a
	// registration, and how long a message is held for them.
	progressTime = time.Hour
	// tieTime is how long a request that names no registration is taken for one
	// that belongs to the newest of the same client.
	tieTime = 10 * time.Minute
	// tieFresh is how old a note may get before it is written again: clients
	// repeat the request that makes it every few seconds.
	tieFresh = time.Minute
)

// progressRecord is how far a registration has come: one session of the
// homeserver's User-Interactive Authentication, and one medium.
type progressRecord struct {
	// Ready says that all stages before the one of the medium are complete.
	Ready bool `cbor:"1,keyasint,omitempty"`
	// Held is the request whose message waits for that.
	Held *openingRequest `cbor:"2,keyasint,omitempty"`
}

// tieRecord leads from a client to its newest registration.
type tieRecord struct {
	UIA string `cbor:"1,keyasint"`
	At  int64  `cbor:"2,keyasint"` // Unix milliseconds
}

// progressPartition is where all of this is: there is little of it, and it has to
// be found after a change of keys as well.
var progressPartition = limitsPartition

func (s *Service) progressNames(uia string, medium Medium) []string {
	return s.keys.HashTexts("registration progress", uia, string(medium))
}

func (s *Service) tieNames(client netip.Addr, agent string) []string {
	return s.keys.HashTexts("registration tie", network(client), agent)
}

// firstOf reads the record under the first of some names that there is.
func (s *Service) firstOf(txn store.Txn, kind string, names []string, into any) error {
	for _, name := range names {
		err := s.recs.get(txn, kind+name, into)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return store.ErrNotFound
}

// Tie notes that a client has a registration under way, for requests that do
// not say which they belong to.
func (s *Service) Tie(ctx context.Context, client netip.Addr, agent, uia string) error {
	if !client.IsValid() || uia == "" {
		return nil
	}
	names := s.tieNames(client, agent)
	known, err := s.tie(ctx, names)
	now := s.now()
	if err != nil || (known.UIA == uia && now.Sub(time.UnixMilli(known.At)) < tieFresh) {
		return err
	}
	return store.UpdateSoon(ctx, s.store, progressPartition, func(txn store.Txn) error {
		return s.recs.put(txn, kindTie+names[0], tieRecord{uia, now.UnixMilli()}, now.Add(tieTime))
	})
}

// Tied is the registration of a client, or empty.
func (s *Service) Tied(ctx context.Context, client netip.Addr, agent string) (uia string, err error) {
	if !client.IsValid() {
		return "", nil
	}
	rec, err := s.tie(ctx, s.tieNames(client, agent))
	return rec.UIA, err
}

func (s *Service) tie(ctx context.Context, names []string) (rec tieRecord, err error) {
	err = s.glance(ctx, progressPartition, func(txn store.Txn) error { // it may not be on the disk yet
		rec = tieRecord{}
		return s.firstOf(txn, kindTie, names, &rec)
	})
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return rec, err
}

// Reached reports whether a registration has come to the stage of a medium.
func (s *Service) Reached(ctx context.Context, uia string, medium Medium) (bool, error) {
	rec, err := s.progress(ctx, s.progressNames(uia, medium))
	return rec.Ready, err
}

func (s *Service) progress(ctx context.Context, names []string) (rec progressRecord, err error) {
	err = s.store.View(ctx, progressPartition, func(txn store.Txn) (err error) {
		rec, err = s.readProgress(txn, names)
		return err
	})
	return rec, err
}

// readProgress is empty for a registration that nothing is known of.
func (s *Service) readProgress(txn store.Txn, names []string) (rec progressRecord, err error) {
	err = s.firstOf(txn, kindProgress, names, &rec)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return rec, err
}

// Hold keeps the message of a request, whose session was opened with Held, until
// its registration is ready. A newer request replaces one that waits.
// What was opened as a decoy stays one: the homeserver is not asked again.
func (s *Service) Hold(ctx context.Context, req Request, decoy bool) error {
	held, err := s.locate(ctx, req)
	if err != nil {
		return err
	}
	held.Held, held.Decoy = false, decoy
	names := s.progressNames(req.UIA, req.Medium)
	ready := false
	err = s.store.Update(ctx, progressPartition, func(txn store.Txn) error {
		rec, err := s.readProgress(txn, names)
		if ready = rec.Ready; err != nil || ready {
			return err
		}
		if !held.RepeatOnly || rec.Held == nil {
			rec.Held = &held
		}
		return s.recs.put(txn, kindProgress+names[0], rec, s.now().Add(progressTime))
	})
	if err != nil || !ready {
		return err
	}
	return s.release(ctx, held) // it has become so meanwhile
}

// Advance notes that a registration has come to the stage of a medium, and sends
// the message that was held for it. It may be repeated, and is by clients that
// poll; only the first time costs anything.
func (s *Service) Advance(ctx context.Context, uia string, medium Medium) error {
	names := s.progressNames(uia, medium)
	rec, err := s.progress(ctx, names)
	for err == nil && !rec.Ready {
		if rec.Held != nil {
			// Sent before it is forgotten: what is sent twice is sent once,
			// by its send_attempt.
			if err = s.release(ctx, *rec.Held); err != nil {
				break
			}
		}
		rec, err = s.markReady(ctx, names, rec.Held)
	}
	return err
}

// markReady ends the wait, unless another request than the one that was sent
// waits now.
func (s *Service) markReady(ctx context.Context, names []string, sent *openingRequest) (rec progressRecord, err error) {
	err = s.store.Update(ctx, progressPartition, func(txn store.Txn) (err error) {
		if rec, err = s.readProgress(txn, names); err != nil {
			return err
		}
		if rec.Held != nil && (sent == nil || *rec.Held != *sent) {
			return nil
		}
		rec = progressRecord{Ready: true}
		return s.recs.put(txn, kindProgress+names[0], rec, s.now().Add(progressTime))
	})
	return rec, err
}

// release sends the message of a request that was held, if its session is still
// there: its client knows no other. It counts against the budget now; against all
// else it was counted when it was made.
func (s *Service) release(ctx context.Context, held openingRequest) error {
	held.RepeatOnly = false
	var cells []cell
	if s.charged(held) {
		cells = append(cells, s.budget(held.Medium))
	}
	if err := s.spend(ctx, s.coolNames(held.Medium, held.Address, held.Discreet), cells...); err != nil {
		return err
	}
	_, err := s.openNow(ctx, held, true)
	return err
}
