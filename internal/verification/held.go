// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// A message that is held costs as much as one that is sent, from when it is held: else
// nothing would bound how many there are, or how many are sent at once when their time
// comes. What has paid is the record of the registration. So what takes the place of
// another there pays nothing, but after half an hour, for one more; whoever sends it need not pay again, and what is given
// back is given back in the transaction that empties the record: once, however many
// report the same. A record that expires gives nothing back. Nobody is there to do it,
// and an hour later the limits have refilled by as much themselves; with both, whoever
// lets all expire would have twice as many.

// heldShare is how much of the budget may be held at once. As much again may be, in the
// hour that the first is; the rest is for those who ask for something else meanwhile.
const heldShare = 4

// mostHeld is how many may be held at once where there is no budget.
const mostHeld = 500

// holding is the cell that every message counts against for as long as it is held.
func (s *limiter) holding() ratelimit.Cell {
	most := mostHeld
	if !s.cfg.Messages.Off() {
		most = max(1, s.cfg.Messages.Burst/heldShare)
	}
	c := ratelimit.Cell{Limit: ratelimit.Limit{Burst: most, Per: progressTime}, Kind: LimitHeld, Names: s.keys.HashTexts("limit held"), Share: 1}
	c.Refund = c.Limit.Cost(1)
	return c
}

// paid are the cells that a held message has paid for.
func (s *limiter) paid(medium threepid.Medium) []ratelimit.Cell {
	if s.cfg.Messages.Off() {
		return []ratelimit.Cell{s.holding()}
	}
	budget := s.budget(medium)
	budget.Refund = budget.Limit.Cost(1)
	return []ratelimit.Cell{s.holding(), budget}
}

// room are the same, to be looked at.
func (s *limiter) room(medium threepid.Medium) []ratelimit.Cell {
	cells := s.paid(medium)
	for i := range cells {
		cells[i].DryRun = true
	}
	return cells
}

// Hold keeps the message of a request, whose session was opened with Held, until
// its registration is ready, or refuses to with a LimitError. A newer request replaces
// one that waits. What was opened as a decoy stays one: the homeserver is not asked
// again.
func (s *Service) Hold(ctx context.Context, req Request, decoy bool) error {
	held, err := s.locate(ctx, req)
	if err != nil {
		return err
	}
	held.Held, held.Decoy = false, decoy
	names := s.progressNames(req.UIA, req.Medium)
	ready := false
	var refused *LimitError
	err = s.store.Update(ctx, progressPartition, func(txn store.Txn) error {
		refused = nil
		rec, err := s.readProgress(txn, names)
		if ready = rec.Ready; err != nil || ready {
			return err
		}
		paid := time.UnixMilli(rec.Paid)
		if now := s.now(); rec.Held == nil || now.Sub(paid) > progressTime/2 {
			if refused, err = s.charge(txn, s.paid(req.Medium)); err != nil || refused != nil {
				return err
			}
			paid = now
		}
		if !held.RepeatOnly || rec.Held == nil {
			rec.Held = &held
		}
		rec.Paid = paid.UnixMilli()
		return kindProgress.Put(txn, s.keys, kindProgress.Key(names[0]), rec, paid.Add(progressTime))
	})
	switch {
	case err != nil:
		return err
	case refused != nil:
		return refused
	case ready:
		return s.releaseNow(ctx, held) // it has become so meanwhile
	}
	return nil
}

// Advance notes that a registration has come to the stage of a medium, and sends
// the message that was held for it. It may be repeated, and is by clients that
// poll; only the first time costs anything. Whether a message was released is not
// whether it was sent, and takes a time that depends on it.
func (s *Service) Advance(ctx context.Context, uia threepid.UIASession, medium threepid.Medium) (released bool, err error) {
	names := s.progressNames(uia, medium)
	rec, err := s.progress(ctx, names)
	for err == nil && !rec.Ready {
		gone := false
		if rec.Held != nil {
			released = true
			// Sent before it is forgotten: what is sent twice is sent once,
			// by its send_attempt.
			if gone, err = s.release(ctx, *rec.Held); err != nil {
				break
			}
		}
		rec, err = s.markReady(ctx, names, rec.Held, gone)
	}
	return released, err
}

// markReady ends the wait, unless another request than the one that was sent
// waits now, and gives back what that has paid for being held; if there was no session
// to send it in any more, for being sent as well.
func (s *Service) markReady(ctx context.Context, names []string, sent *openingRequest, gone bool) (rec progressRecord, err error) {
	err = s.store.Update(ctx, progressPartition, func(txn store.Txn) (err error) {
		if rec, err = s.readProgress(txn, names); err != nil {
			return err
		}
		if rec.Held != nil {
			if sent == nil || *rec.Held != *sent {
				return nil
			}
			back := []ratelimit.Cell{s.holding()}
			if gone {
				back = s.paid(sent.Medium)
			}
			if err := s.table.Refund(txn, back); err != nil {
				return err
			}
		}
		rec = progressRecord{Ready: true}
		return kindProgress.Put(txn, s.keys, kindProgress.Key(names[0]), rec, s.now().Add(progressTime))
	})
	return rec, err
}

// release sends the message of a request that was held, and has paid, if its session is
// still there: its client knows no other.
func (s *Service) release(ctx context.Context, held openingRequest) (gone bool, err error) {
	held.RepeatOnly = false
	if err := s.meet(ctx, s.later(held, ratelimit.Owner)); err != nil {
		return false, err // its address cools down
	}
	o, _, err := s.openNow(ctx, held, true)
	return err == nil && o.opened.SID == "", err
}

// releaseNow is the same for one that was not held after all: it pays now.
func (s *Service) releaseNow(ctx context.Context, held openingRequest) error {
	held.RepeatOnly = false
	var cells []ratelimit.Cell
	if s.charged(held) {
		cells = append(cells, s.budget(held.Medium))
	}
	if err := s.meet(ctx, s.later(held, ratelimit.Begun, cells...)); err != nil {
		return err
	}
	o, unsure, err := s.openNow(ctx, held, true)
	if !unsure && (err != nil || !o.opened.Sent) {
		s.unsent(ctx, held)
	}
	return err
}

// later is what a request is counted against, beside what it was when it was made.
func (s *limiter) later(held openingRequest, class ratelimit.Class, cells ...ratelimit.Cell) *demand {
	return &demand{
		id: held.ThreePID(), cools: !held.Discreet,
		class: class, cells: cells, who: ratelimit.Asker{Known: held.Wanted, By: []uint64{held.By}},
	}
}
