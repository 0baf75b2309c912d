// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/store"
)

const (
	// progressTime is how long it is known how far somebody has come with a
	// registration, and how long a message is held for them.
	progressTime = time.Hour
	// registrationTime is how long a request that names no registration is taken for one
	// that belongs to the newest of the same client.
	registrationTime = 10 * time.Minute
	// registrationFresh is how old a note may get before it is written again: clients
	// repeat the request that makes it every few seconds.
	registrationFresh = time.Minute
)

// progressRecord is how far a registration has come: one session of the
// homeserver's User-Interactive Authentication, and one medium.
type progressRecord struct {
	// Ready says that all stages before the one of the medium are complete.
	Ready bool `cbor:"1,keyasint,omitempty"`
	// Held is the request whose message waits for that.
	Held *openingRequest `cbor:"2,keyasint,omitempty"`
	// Paid is when it was last paid for that; Unix milliseconds.
	Paid int64 `cbor:"3,keyasint,omitempty"`
}

// registrationRecord leads from a client to its newest registration.
type registrationRecord struct {
	UIA string `cbor:"1,keyasint"`
	At  int64  `cbor:"2,keyasint"` // Unix milliseconds
}

// progressPartition is where all of this is: there is little of it, and it has to
// be found after a change of keys as well.
var progressPartition = limitsPartition

func (s *Service) progressNames(uia string, medium Medium) []string {
	return s.keys.HashTexts("registration progress", uia, string(medium))
}

func (s *Service) registrationNames(client netip.Addr, agent string) []string {
	return s.keys.HashTexts("registration tie", string(ratelimit.Narrow(client)), agent)
}

// NoteRegistration notes that a client has a registration under way, for requests that do
// not say which they belong to.
func (s *Service) NoteRegistration(ctx context.Context, client netip.Addr, agent, uia string) error {
	if !client.IsValid() || uia == "" {
		return nil
	}
	names := s.registrationNames(client, agent)
	known, err := s.registration(ctx, names)
	now := s.now()
	if err != nil || (known.UIA == uia && now.Sub(time.UnixMilli(known.At)) < registrationFresh) {
		return err
	}
	return store.UpdateAsync(ctx, s.store, progressPartition, func(txn store.Txn) error {
		return kindRegistration.Put(txn, s.keys, kindRegistration.Key(names[0]), registrationRecord{uia, now.UnixMilli()}, now.Add(registrationTime))
	})
}

// NewestRegistration is the registration of a client, or empty.
func (s *Service) NewestRegistration(ctx context.Context, client netip.Addr, agent string) (uia string, err error) {
	if !client.IsValid() {
		return "", nil
	}
	rec, err := s.registration(ctx, s.registrationNames(client, agent))
	return rec.UIA, err
}

func (s *Service) registration(ctx context.Context, names []string) (rec registrationRecord, err error) {
	err = s.viewLatest(ctx, progressPartition, func(txn store.Txn) error { // it may not be on the disk yet
		rec = registrationRecord{}
		_, err := kindRegistration.First(txn, s.keys, names, &rec)
		return err
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
	_, err = kindProgress.First(txn, s.keys, names, &rec)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return rec, err
}
