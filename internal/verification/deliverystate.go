// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// DeliveryState is what became of a message, as far as anybody knows.
//
// It costs no access to the store of its own. The outbox notes it in the
// transactions that it makes anyway: when a message is sent, deferred or given
// up. Until then the message is in the outbox, which says that it waits. The
// note is a few bytes, unsealed: a state and a number.
type DeliveryState string

// The states.
const (
	// Waiting: it has not been tried yet.
	Waiting DeliveryState = "waiting"
	// Delivered: the relay has taken it. That is all that can be known, unless
	// it comes back.
	Delivered DeliveryState = "sent"
	// Deferred: it was tried, and will be tried again.
	Deferred DeliveryState = "deferred"
	// Failed: it was given up, or withdrawn before it was sent.
	Failed DeliveryState = "failed"
	// Bounced: it was taken and then returned.
	Bounced DeliveryState = "bounced"
	// Complained: its reader calls it unwanted.
	Complained DeliveryState = "complained"
	// Arrived: the phone has it, its network says.
	Arrived DeliveryState = "arrived"
	// Uncertain: the relay has had the whole of it, and did not say that it takes it.
	Uncertain DeliveryState = "uncertain"
	// Unnoted: nobody knows.
	Unnoted DeliveryState = ""
)

// deliveryCodes are how the states are stored: the index is the code.
var deliveryCodes = []DeliveryState{Unnoted, Delivered, Deferred, Failed, Bounced, Complained, Arrived, Uncertain}

// messageID names the n-th message of a session.
func messageID(sid string, n int) string { return sid + "." + strconv.Itoa(n) }

// splitID undoes messageID.
func splitID(id string) (sid string, n int, ok bool) {
	sid, number, _ := strings.Cut(id, ".")
	n, err := strconv.Atoi(number)
	return sid, n, err == nil && n > 0 && n <= maxSends && len(sid) > partitionSize
}

// maxSends is the highest number of a message that is noted.
const maxSends = 1<<31 - 1

// OutboxKey is where a message waits, in the partition that its id begins
// with: the domain has to find it again to withdraw it. A sid is no secret to
// the store; it proves nothing without the client_secret.
func OutboxKey(id string) (key string, ok bool) {
	if len(id) <= partitionSize {
		return "", false
	}
	return OutboxKind.Key(id[partitionSize:]), true
}

func stateKey(sid string) string { return kindState.Key(sid[partitionSize:]) }

// feedback reports a state that was heard of after the relay had taken the
// message: there is nothing more to be known of it then.
func (d DeliveryState) feedback() bool { return d == Bounced || d == Complained || d == Arrived }

// NoteDelivery writes down what became of a message, in the transaction in
// which that is settled. A note on a later message of the session stays, and so
// does feedback: a relay's report may be here before its "250" is written down.
func NoteDelivery(txn store.Txn, m Message, state DeliveryState) error {
	sid, n, ok := splitID(m.ID)
	if !ok {
		return nil
	}
	return note(txn, sid, n, state, m.Created.Add(MaxLifetime+time.Minute))
}

// noteVersion is the first byte of a note.
const noteVersion = 1

// note is two bytes of form and state, and four of the message's number.
func note(txn store.Txn, sid string, n int, state DeliveryState, until time.Time) error {
	code := slices.Index(deliveryCodes, state)
	if code < 0 {
		return sealed.ErrForm // a state that is not to be noted
	}
	known, before, err := noted(txn, sid)
	if err != nil || known > n || (known == n && before.feedback() && !state.feedback()) {
		return err
	}
	value := binary.BigEndian.AppendUint32([]byte{noteVersion, byte(code)}, uint32(n))
	return kindState.Set(txn, stateKey(sid), value, until)
}

// noted reads a note; without one the number is zero.
func noted(txn store.Txn, sid string) (n int, state DeliveryState, err error) {
	raw, err := txn.Get(stateKey(sid))
	if errors.Is(err, store.ErrNotFound) {
		return 0, Unnoted, nil
	}
	if err != nil {
		return 0, Unnoted, err
	}
	if len(raw) != 6 || raw[0] != noteVersion || int(raw[1]) >= len(deliveryCodes) {
		return 0, Unnoted, nil // of a later version; nothing hangs on it
	}
	return int(binary.BigEndian.Uint32(raw[2:])), deliveryCodes[raw[1]], nil
}

// deliveryOf is what is known of the newest message of a session.
func deliveryOf(txn store.Txn, s *Session) (DeliveryState, error) {
	n, state, err := noted(txn, s.SID)
	if err != nil {
		return Unnoted, err
	}
	current := n == s.Sends
	switch {
	case current && state != Deferred:
		return state, nil
	case s.State == Validated || s.State == Consumed:
		return Delivered, nil // its token has come back
	}
	key, _ := OutboxKey(messageID(s.SID, s.Sends))
	_, err = txn.Get(key)
	waits := err == nil
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return Unnoted, err
	case current && waits:
		return Deferred, nil
	case current:
		return Failed, nil // it expired while no outbox ran
	case waits:
		return Waiting, nil
	}
	return Unnoted, nil
}

// NoteFeedback writes down what was heard of the newest of a session's messages
// after a relay had taken it: Bounced or Complained.
func (s *Service) NoteFeedback(ctx context.Context, sid string, state DeliveryState) error {
	return s.noteFeedback(ctx, sid, 0, state)
}

// NoteReceipt is NoteFeedback for one message, by its id: Arrived or Bounced.
func (s *Service) NoteReceipt(ctx context.Context, messageID string, state DeliveryState) error {
	sid, n, ok := splitID(messageID)
	if !ok {
		return ErrNoSession
	}
	return s.noteFeedback(ctx, sid, n, state)
}

// noteFeedback is about the n-th message, or the newest if n is zero.
func (s *Service) noteFeedback(ctx context.Context, sid string, n int, state DeliveryState) error {
	return s.change(ctx, sid, func(txn store.Txn, session *Session) error {
		about := cmp.Or(n, session.Sends)
		if about > session.Sends {
			return ErrNoSession
		}
		return note(txn, sid, about, state, time.UnixMilli(session.Until).Add(time.Minute))
	})
}

// Recipient is the address that a session's messages go to: whoever handles a
// bounce needs it, to suppress further ones.
func (s *Service) Recipient(ctx context.Context, sid string) (Medium, string, error) {
	session, _, err := s.look(ctx, sid)
	if err != nil {
		return "", "", err
	}
	return session.Medium, session.Address, nil
}
