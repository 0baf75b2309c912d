// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// A decoy is a session that its client cannot tell from any other. The
// homeserver has refused the request because of who has the address, and the
// client is not to learn that: it would be an oracle for the addresses of
// accounts (CS API, POST /register/email/requestToken). So there is an ordinary
// session, in the ordinary place, and an ordinary message, of which the outbox
// knows how to word it. The one difference is that nobody has the token.

// Decoy is [Service.Callback] for a homeserver that has refused: same work, same
// record, same number of commits. Should the homeserver have called back after
// all, that session is the answer.
func (s *Service) Decoy(ctx context.Context, nonce string) (Opened, error) {
	return s.decided(ctx, nonce, func(openingRequest) bool { return true }, true)
}

// disguise makes the next message one without a token. The session gets the hash
// of one that is told to nobody, and has 256 bits where a real one is a code of
// six digits, too: no guess is ever right.
func (o *opening) disguise() (err error) {
	o.decoy = true
	o.token, err = o.svc.ids.token(ProofLink)
	return err
}

// failure is why no session could be opened for a nonce, as far as it matters to
// its client: that it has to wait.
type failure struct {
	_    struct{} `cbor:",toarray"`
	Wait time.Duration
	// Busy tells a server that can take no more from a client that asks too
	// often.
	Busy bool
}

// BusyError says that no more messages can be taken for now. It stands for an
// error of the outbox's that had a method RetryAfter.
type BusyError struct{ wait time.Duration }

func (e *BusyError) Error() string {
	return fmt.Sprintf("too many messages wait, retry after %s", e.wait)
}

// RetryAfter is how long to wait.
func (e *BusyError) RetryAfter() time.Duration { return e.wait }

// err is the error that the failure stands for.
func (f *failure) err() error {
	switch {
	case f == nil:
		return nil
	case f.Busy:
		return &BusyError{f.Wait}
	}
	return &LimitError{RetryAfter: f.Wait}
}

// failureOf returns nil for an error that does not say how long to wait.
func failureOf(err error) *failure {
	if limit, ok := errors.AsType[*LimitError](err); ok {
		return &failure{Wait: limit.RetryAfter}
	}
	if busy, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		return &failure{Wait: busy.RetryAfter(), Busy: true}
	}
	return nil
}

// noteFailure keeps for Settle what a client has to be told.
func (s *Service) noteFailure(ctx context.Context, p store.Partition, nonce string, cause error) error {
	f := failureOf(cause)
	if f == nil {
		return nil
	}
	return s.store.Update(ctx, p, func(txn store.Txn) error {
		rec := nonceRecord{}
		key, err := s.recall(txn, kindNonce, nonceLabel, nonce, &rec)
		if errors.Is(err, store.ErrNotFound) {
			return nil // its client is gone
		}
		if err != nil {
			return err
		}
		rec.Failure = f
		return kindNonce.Put(txn, s.keys, key, rec, s.inFlightEnd())
	})
}
