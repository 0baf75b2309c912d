// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"cmp"
	"context"
	"errors"
	"net/netip"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// LimitKind says which limit has refused a request. It is a metric label, so
// the set is closed, and it never says whom it has refused.
type LimitKind string

// The limits.
const (
	LimitAddress LimitKind = "address"
	LimitClient  LimitKind = "client"
	LimitDomain  LimitKind = "domain"
	LimitUser    LimitKind = "user"
	LimitUIA     LimitKind = "uia"
	// LimitMessages is the budget of messages, of which there is one for each
	// medium: it is nobody's fault in particular.
	LimitMessages LimitKind = "messages"
	// LimitHeld bounds how many messages are held, for all together.
	LimitHeld LimitKind = "held"
	// LimitGuesses counts wrong tokens.
	LimitGuesses LimitKind = "guesses"
	// LimitCodes counts wrong codes for an address. It is told to nobody.
	LimitCodes LimitKind = "codes"
	// LimitCooldown is the owner of an address who wants no more messages.
	LimitCooldown LimitKind = "cooldown"
	// LimitResend is the pause between two messages to one number, which whoever
	// guards against SMS fraud keeps.
	LimitResend LimitKind = "resend"
	// LimitRepeat is a repetition that turned out to be none.
	LimitRepeat LimitKind = "repeat"
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
func (s *Service) admit(ctx context.Context, req Request, opening *openingRequest) ([]cell, error) {
	cool := s.coolNames(req.ThreePID, req.Discreet)
	if opening.RepeatOnly {
		return nil, s.spend(ctx, cool, s.cells(req, repeatShare)...)
	}
	cells := s.cells(req, 1)
	counted := cells
	if s.charged(*opening) {
		counted = append(counted, s.budget(req.Medium))
	}
	if opening.Held {
		counted = append(counted, s.room(req.Medium)...) // counted when it is kept, see Hold
	}
	err := s.spend(ctx, cool, counted...)
	if _, limited := errors.AsType[*LimitError](err); !limited {
		return cells, err
	}
	due, _, failed := s.due(ctx, *opening)
	if failed != nil || due {
		return nil, cmp.Or(failed, err)
	}
	opening.RepeatOnly = true
	return nil, s.spend(ctx, cool, s.cells(req, repeatShare)...)
}

// repeated gives back what a request was counted for too much: it has turned
// out to repeat another.
func (s *Service) repeated(ctx context.Context, counted []cell) {
	for i := range counted {
		counted[i].refund = counted[i].limit.cost(1) - counted[i].limit.cost(repeatShare)
	}
	_ = s.giveBack(context.WithoutCancel(ctx), counted...)
}

// admitAgain counts a message that the operator has sent again.
func (s *Service) admitAgain(ctx context.Context, session *Session) error {
	var cells []cell
	if !s.cfg.PerAddress.off() {
		cells = append(cells, s.mailbox(session.ThreePID(), 1))
	}
	if budget := s.budget(session.Medium); !budget.limit.off() {
		cells = append(cells, budget)
	}
	return s.spend(ctx, s.addressNames(session.ThreePID()), cells...)
}

// Count counts a request that somebody else will answer and send the message of: it
// is refused with a LimitError as one of ours would be. The budget is for what we send.
func (s *Service) Count(ctx context.Context, req Request) error {
	return s.spend(ctx, s.addressNames(req.ThreePID), s.cells(req, 1)...)
}

// viewLatest is a View that sees what [store.AsyncUpdater] has written, too, of which a View
// may know nothing until it is on the disk. What it finds is only acted upon by
// updates that wait for that.
func (s *Service) viewLatest(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if async, ok := s.store.(store.AsyncUpdater); ok {
		return async.UpdateAsync(ctx, p, fn)
	}
	return s.store.View(ctx, p, fn)
}

// cells are what a request counts against, the budget left out.
func (s *Service) cells(req Request, share int) []cell {
	var cells []cell
	add := func(kind LimitKind, limit Limit, subject ...string) {
		if !limit.off() {
			cells = append(cells, cell{limit: limit, kind: kind, names: s.keys.HashTexts("limit "+string(kind), subject...), share: share})
		}
	}
	if !s.cfg.PerAddress.off() {
		cells = append(cells, s.mailbox(req.ThreePID, share))
	}
	if req.Client.IsValid() {
		add(LimitClient, s.cfg.PerClient, network(req.Client))
	}
	if req.Domain != "" {
		add(LimitDomain, s.cfg.PerDomain, req.Domain)
	}
	if req.AccessToken != "" {
		add(LimitUser, s.cfg.PerUser, "token", string(req.AccessToken))
	}
	if req.UIA != "" {
		add(LimitUIA, s.cfg.PerUIA, string(req.UIA))
	}
	return cells
}

// mailbox is the cell of an address.
func (s *Service) mailbox(id threepid.ThreePID, share int) cell {
	return cell{limit: s.cfg.PerAddress, kind: LimitAddress, names: s.mailboxNames(id), share: share}
}

// budget is the cell that every message of a medium counts against.
func (s *Service) budget(medium threepid.Medium) cell {
	return cell{limit: s.cfg.Messages, kind: LimitMessages, names: s.keys.HashTexts("limit messages", string(medium)), share: 1}
}

// charged reports whether a request was counted against the budget.
func (s *Service) charged(req openingRequest) bool {
	return !s.cfg.Messages.off() && !req.RepeatOnly && !req.Held
}

// unsent gives back what was counted for a message that was not sent. Should it
// fail, one message less is sent within the hour.
func (s *Service) unsent(ctx context.Context, req openingRequest) {
	if s.charged(req) {
		budget := s.budget(req.Medium)
		budget.refund = budget.limit.cost(1)
		_ = s.giveBack(context.WithoutCancel(ctx), budget)
	}
}

// guess is the cell that wrong tokens from an address of the network count
// against: somebody who opens many sessions has few tries in each, but many in
// all. Nothing is counted of one whose address is unknown.
func (s *Service) guess(client netip.Addr) (c cell, counted bool) {
	if s.cfg.Guesses.off() || !client.IsValid() {
		return cell{}, false
	}
	return cell{limit: s.cfg.Guesses, kind: LimitGuesses, names: s.keys.HashTexts("limit guesses", network(client)), share: 1, refund: s.cfg.Guesses.cost(1)}, true
}

// CountUser counts one action of a user, and refuses it with a LimitError if
// there were too many: MSC2290 asks for that where addresses are added and
// bound.
func (s *Service) CountUser(ctx context.Context, action, user string) error {
	if s.cfg.PerUser.off() {
		return nil
	}
	return s.spend(ctx, nil, cell{limit: s.cfg.PerUser, kind: LimitUser, names: s.keys.HashTexts("limit user", action, user), share: 1})
}

// addressNames stand for an address in the key of its cool-down, by every key of
// the ring, the one in use first.
func (n naming) addressNames(id threepid.ThreePID) []string {
	return n.keys.HashTexts("limit address", string(id.Medium), id.Address)
}

// mailboxNames stand for all spellings of an address in the key of its limit.
func (n naming) mailboxNames(id threepid.ThreePID) []string {
	id = mailboxOf(id)
	return n.keys.HashTexts("limit mailbox", string(id.Medium), id.Address)
}

// network is as much of an address as one subscriber has: all of an IPv4
// address, and a /64 of IPv6 (RFC 6177), within which they can choose.
func network(client netip.Addr) string {
	client = client.Unmap().WithZone("")
	if client.Is4() {
		return client.String()
	}
	prefix, _ := client.Prefix(64) // which each has
	return prefix.String()
}
