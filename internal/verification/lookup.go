// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Found is what an operator may see of a session of an address that they have
// named: what was said of its messages, too, which may repeat the address.
type Found struct {
	Admin
	// Reply is what was last said when a message was not taken.
	Reply Reply
	// Spelling says that it is about another spelling of the same mailbox.
	Spelling bool
	// MessageID names the newest message, if there is one.
	MessageID string
}

// FindByAddress finds the sessions of an address, newest first, those of other
// spellings of its mailbox included. It reads all sessions: the store has no
// addresses in the clear, and the hashes in it are for clients, who know a secret
// besides.
func (s *Service) FindByAddress(ctx context.Context, id threepid.ThreePID) ([]Found, error) {
	mailbox := mailboxOf(id)
	exact := map[threepid.SID]bool{}
	list, err := s.search(ctx, func(session *Session) bool {
		if mailboxOf(session.ThreePID()) != mailbox {
			return false
		}
		exact[session.SID] = session.ThreePID() == id
		return true
	})
	if err != nil {
		return nil, err
	}
	found := make([]Found, 0, len(list))
	for _, a := range list {
		f := Found{Admin: a, Spelling: !exact[a.SID]}
		if a.Sends > 0 {
			f.MessageID = messageID(a.SID, a.Sends)
		}
		if f.Reply, err = s.reply(ctx, a.SID); err != nil {
			return nil, fmt.Errorf("read what was said of a message: %w", err)
		}
		found = append(found, f)
	}
	return found, nil
}

// RevokeByAddress ends all open sessions of exactly this address, and returns how
// many it was.
func (s *Service) RevokeByAddress(ctx context.Context, id threepid.ThreePID) (n int, err error) {
	list, err := s.search(ctx, func(session *Session) bool {
		session.expireClaim(s.now())
		return session.ThreePID() == id && session.open(s.now()) == nil
	})
	for _, a := range list {
		if err == nil {
			if err = s.RevokeSession(ctx, a.SID); err == nil {
				n++
			}
		}
	}
	return n, err
}

// LimitState is how far a limit of an address is used up.
type LimitState struct {
	Limit ratelimit.Kind
	// Purpose is there if each has its own.
	Purpose threepid.Purpose
	Used    int
	Limited ratelimit.Limit
	// Until is when the next request will pass; zero if it would now.
	Until time.Time
}

// Limits are those that requests for an address, of a registered domain, meet
// now, whoever makes them; and until when its owner wants no messages, or zero.
// The limits of clients and users are not among them: nobody is named here.
func (s *limiter) Limits(ctx context.Context, id threepid.ThreePID, domain string) (list []LimitState, cooling time.Time, err error) {
	d := s.demand(Request{ThreePID: id, Domain: domain})
	asked := slices.Concat(d.cells, d.strange)
	if budget := s.budget(id.Medium); !budget.Limit.Off() {
		asked = append(asked, budget)
	}
	err = s.store.View(ctx, limitsPartition, func(txn store.Txn) error {
		list, cooling = nil, time.Time{}
		now := s.now()
		wait, err := s.anyCooling(txn, id)
		if err != nil {
			return err
		}
		if wait > 0 {
			cooling = now.Add(wait)
		}
		if len(d.mailbox) > 0 {
			state, err := s.lettersState(txn, d.mailbox)
			if err != nil {
				return err
			}
			list = append(list, state)
		}
		for _, c := range asked {
			state, err := s.limitState(txn, c)
			if err != nil {
				return err
			}
			list = append(list, state)
		}
		for _, purpose := range []threepid.Purpose{threepid.Register, threepid.Password, threepid.Add} {
			state, err := s.limitState(txn, ratelimit.Cell{Limit: wrongCodes, Kind: LimitCodes, Names: s.codeNames(purpose, id)})
			if err != nil {
				return err
			}
			if state.Purpose = purpose; state.Used > 0 {
				list = append(list, state)
			}
		}
		return nil
	})
	return list, cooling, err
}

// anyCooling is how long a mailbox cools down for everybody, or for some network.
func (s *limiter) anyCooling(txn store.Txn, id threepid.ThreePID) (time.Duration, error) {
	letters, err := s.letters(txn, s.mailboxNames(mailboxOf(id)))
	if err != nil {
		return 0, err
	}
	var by []uint64
	for _, c := range letters.Closed {
		by = append(by, c.By)
	}
	return s.cooling(txn, id, by)
}

// limitState reads a cell, and counts nothing.
func (s *limiter) limitState(txn store.Txn, c ratelimit.Cell) (LimitState, error) {
	used, until, err := s.table.State(txn, c)
	return LimitState{Limit: c.Kind, Limited: c.Limit, Used: used, Until: until}, err
}

// lettersState is how many messages strangers have asked for to a mailbox today.
func (s *limiter) lettersState(txn store.Txn, names []string) (LimitState, error) {
	state := LimitState{Limit: LimitAddress, Limited: ratelimit.Limit{Burst: s.cfg.Mailboxes.Strangers, Per: ratelimit.Day}}
	letters, err := s.letters(txn, names)
	if err != nil {
		return state, err
	}
	now := s.now()
	var wait time.Duration
	if state.Used, wait = letters.Strangers(s.cfg.Mailboxes, now); wait > 0 {
		state.Until = now.Add(wait)
	}
	return state, nil
}
