// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"cmp"
	"context"
	"errors"
	"net/netip"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// The limits.
const (
	LimitAddress ratelimit.Kind = "address"
	// LimitPause is the pause between two messages to one mailbox.
	LimitPause ratelimit.Kind = "pause"
	// LimitNetwork counts a client's wider networks.
	LimitNetwork ratelimit.Kind = "network"
	// LimitQueue leaves what runs low to those who had less of it.
	LimitQueue                 = ratelimit.Queue
	LimitClient ratelimit.Kind = "client"
	LimitDomain ratelimit.Kind = "domain"
	LimitUser   ratelimit.Kind = "user"
	LimitUIA    ratelimit.Kind = "uia"
	// LimitMessages is the budget of messages, of which there is one for each
	// medium: it is nobody's fault in particular.
	LimitMessages ratelimit.Kind = "messages"
	// LimitHeld bounds how many messages are held, for all together.
	LimitHeld ratelimit.Kind = "held"
	// LimitGuesses counts wrong tokens.
	LimitGuesses ratelimit.Kind = "guesses"
	// LimitCodes counts wrong codes for an address. It is told to nobody.
	LimitCodes ratelimit.Kind = "codes"
	// LimitCooldown is the owner of an address who wants no more messages.
	LimitCooldown ratelimit.Kind = "cooldown"
	// LimitResend is the pause between two messages to one number, which whoever
	// guards against SMS fraud keeps.
	LimitResend ratelimit.Kind = "resend"
	// LimitRepeat is a repetition that turned out to be none.
	LimitRepeat ratelimit.Kind = "repeat"
)

// repeatShare is how many requests that send nothing cost as much as one that
// sends. They are counted, as a flood of them is a flood too, but clients do
// repeat a request whose answer was lost, or when the user comes back to a
// page, and must not use up the user's next message by that.
const repeatShare = 10

// admit counts a request against its limits, whichever its purpose, as one that
// sends, and returns what it has counted. Whether a request only repeats another
// is looked up only if it would be refused: then it is marked as such, so that
// it will send nothing, and costs little.
func (s *Service) admit(ctx context.Context, req Request, opening *openingRequest) (*demand, error) {
	if opening.RepeatOnly {
		return nil, s.meet(ctx, s.repetition(req))
	}
	d := s.demand(req)
	defer func() { opening.Wanted = d.wanted }()
	if s.charged(*opening) {
		d.cells = append(d.cells, s.budget(req.Medium))
	}
	if opening.Held {
		d.cells = append(d.cells, s.room(req.Medium)...) // counted when it is kept, see Hold
	}
	err := s.meet(ctx, d)
	refused, limited := errors.AsType[*LimitError](err)
	if !limited {
		return d, err
	}
	due, open, failed := s.due(ctx, *opening)
	pausing := refused.Limit == LimitPause && open
	if failed != nil || (due && !pausing) {
		return nil, cmp.Or(failed, err)
	}
	if due {
		d.who.Again = true // the first repetition of its own message need not wait
		if err := s.meet(ctx, d); err == nil {
			return d, nil
		}
	}
	opening.RepeatOnly, opening.Early = true, due
	return nil, s.meet(ctx, s.repetition(req))
}

// repeated gives back what a request was counted for too much: it has turned
// out to repeat another.
func (s *limiter) repeated(ctx context.Context, d *demand) {
	if d == nil {
		return
	}
	var cells []ratelimit.Cell
	for _, c := range d.counted {
		if c.Kind == LimitMessages || c.DryRun {
			continue // see unsent
		}
		c.Refund = c.Limit.Cost(1) - c.Limit.Cost(repeatShare)
		cells = append(cells, c)
	}
	_ = store.UpdateAsync(context.WithoutCancel(ctx), s.store, limitsPartition, func(txn store.Txn) error {
		if err := s.letterBack(txn, d); err != nil {
			return err
		}
		return s.table.Refund(txn, cells)
	})
}

// admitAgain counts a message that the operator has sent again.
func (s *limiter) admitAgain(ctx context.Context, session *Session) error {
	d := &demand{id: session.ThreePID(), cools: true, who: ratelimit.Asker{By: []uint64{session.By}}, class: ratelimit.Owner}
	if !s.cfg.PerAddress.Off() {
		d.cells = append(d.cells, s.mailbox(session.ThreePID(), 1))
	}
	if budget := s.budget(session.Medium); !budget.Limit.Off() {
		d.cells = append(d.cells, budget)
	}
	return s.meet(ctx, d)
}

// Count counts a request that somebody else will answer and send the message of: it
// is refused with a LimitError as one of ours would be. The budget is for what we send.
func (s *limiter) Count(ctx context.Context, req Request) error {
	req.Discreet = false
	return s.meet(ctx, s.demand(req))
}

// viewLatest is a View that sees what [store.AsyncUpdater] has written, too, of which a View
// may know nothing until it is on the disk. What it finds is only acted upon by
// updates that wait for that.
func (s *limiter) viewLatest(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if async, ok := s.store.(store.AsyncUpdater); ok {
		return async.UpdateAsync(ctx, p, fn)
	}
	return s.store.View(ctx, p, fn)
}

// mailbox is the cell of an address.
func (s *limiter) mailbox(id threepid.ThreePID, share int) ratelimit.Cell {
	return ratelimit.Cell{Limit: s.cfg.PerAddress, Kind: LimitAddress, Names: s.mailboxNames(mailboxOf(id)), Share: share}
}

// budget is the cell that every message of a medium counts against.
func (s *limiter) budget(medium threepid.Medium) ratelimit.Cell {
	return ratelimit.Cell{Limit: s.cfg.Messages, Kind: LimitMessages, Names: s.keys.HashTexts("limit messages", string(medium)), Share: 1}
}

// charged reports whether a request was counted against the budget.
func (s *limiter) charged(req openingRequest) bool {
	return !s.cfg.Messages.Off() && !req.RepeatOnly && !req.Held
}

// unsent gives back what was counted for a message that was not sent. Should it
// fail, one message less is sent within the hour.
func (s *limiter) unsent(ctx context.Context, req openingRequest) {
	if s.charged(req) {
		budget := s.budget(req.Medium)
		budget.Refund = budget.Limit.Cost(1)
		_ = s.giveBack(context.WithoutCancel(ctx), budget)
	}
}

// guess is the cell that wrong tokens from an address of the network count
// against: somebody who opens many sessions has few tries in each, but many in
// all. Nothing is counted of one whose address is unknown.
func (s *limiter) guess(client netip.Addr) (c ratelimit.Cell, counted bool) {
	if s.cfg.Guesses.Off() || !client.IsValid() {
		return ratelimit.Cell{}, false
	}
	return ratelimit.Cell{Limit: s.cfg.Guesses, Kind: LimitGuesses, Names: s.keys.HashTexts("limit guesses", string(ratelimit.Narrow(client))), Share: 1, Refund: s.cfg.Guesses.Cost(1)}, true
}

// Guess counts a token that a client shows as a wrong one, or refuses with a LimitError;
// right gives it back.
func (s *limiter) Guess(ctx context.Context, client netip.Addr) (right func(context.Context), err error) {
	guess, counted := s.guess(client)
	if !counted {
		return func(context.Context) {}, nil
	}
	if err := s.spend(ctx, guess); err != nil {
		return nil, err
	}
	return func(ctx context.Context) {
		// Should it fail, a right token has counted as a wrong one.
		_ = s.giveBack(context.WithoutCancel(ctx), guess)
	}, nil
}

// CountUser counts one action of a user, and refuses it with a LimitError if
// there were too many: MSC2290 asks for that where addresses are added and
// bound.
func (s *limiter) CountUser(ctx context.Context, action, user string) error {
	if s.cfg.User.Off() {
		return nil
	}
	return s.spend(ctx, ratelimit.Cell{Limit: s.cfg.User, Kind: LimitUser, Names: s.keys.HashTexts("limit user", action, user), Share: 1})
}

// addressNames stand for an address in the key of its cool-down, by every key of
// the ring, the one in use first.
func (n naming) addressNames(id threepid.ThreePID) []string {
	return n.keys.HashTexts("limit address", string(id.Medium), id.Address)
}
