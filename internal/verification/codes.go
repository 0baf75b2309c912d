// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// wrongCodes bounds how many wrong codes are compared for one address and purpose,
// whoever sends them, from wherever, in however many sessions: half of them at once
// and the other half over the day, so that there are never more than 100 in any 24
// hours (NIST SP 800-63B, 5.2.2). A session ends after a few, but whoever asks for
// more of them has more tries. It is no option: a code of six digits needs it.
var wrongCodes = ratelimit.Limit{Burst: 50, Per: 24 * time.Hour}

// codeNames stand for an address and a purpose in the key of that limit. It is the
// address as it would be proven: other spellings are other addresses there.
func (n naming) codeNames(purpose threepid.Purpose, id threepid.ThreePID) []string {
	return n.keys.HashTexts("limit codes", string(purpose), string(id.Medium), id.Address)
}

// submit compares a token, and counts it before that if it can be guessed. A link
// cannot: it has 256 random bits, and whoever spends all tries for an address must not
// lock out the reader of its mail.
func (s *Service) submit(ctx context.Context, p store.Partition, sub Submission) (Confirmed, error) {
	result, guessable, err := s.compare(ctx, p, sub, false)
	if guessable == nil {
		return result, err
	}
	code := ratelimit.Cell{
		Limit: wrongCodes, Share: 1, Refund: wrongCodes.Cost(1),
		Names: s.codeNames(guessable.Purpose, guessable.ThreePID()),
	}
	err = s.spend(ctx, code)
	if _, many := errors.AsType[*LimitError](err); many {
		// As of a session that has ended: nobody learns whose tries are spent.
		return Confirmed{}, ErrRevoked
	}
	if err != nil {
		return Confirmed{}, err
	}
	result, _, err = s.compare(ctx, p, sub, true)
	if !errors.Is(err, ErrTokenIncorrect) {
		// Should it fail, a right code has counted as a wrong one.
		_ = s.giveBack(context.WithoutCancel(ctx), code)
	}
	return result, err
}

// compare counts the try of the session in the same transaction that compares the
// token, and no answer is given before that is committed: concurrent guesses cannot
// share one count. With a session in place of an answer, nothing was compared: its
// token can be guessed, and has to be counted for its address first.
func (s *Service) compare(ctx context.Context, p store.Partition, sub Submission, counted bool) (result Confirmed, guessable *Session, err error) {
	var (
		verdict error
		before  State
	)
	err = s.store.Update(ctx, p, func(txn store.Txn) error {
		guessable = nil
		session, err := s.find(txn, sub)
		if err != nil {
			return err
		}
		before = session.State
		tries := session.Tries
		pending := before == Pending || session.secretlyRefused(sub.Discreet)
		if !counted && session.Proof == ProofCode && pending && !session.Expired(s.now()) {
			guessable = session
			return nil
		}
		result = describe(session, Delivered) // or the token would not be here
		verdict = session.confirm(s.keys.Hashes(tokenLabel, string(sub.SID), string(sub.Token)), s.now(), s.cfg.SessionLifetime, s.cfg.MaxTries, sub.Discreet)
		result.State = session.State
		if session.Tries == tries {
			return nil // nothing has changed
		}
		return s.putSession(txn, session)
	})
	if err != nil || guessable != nil {
		return Confirmed{}, guessable, err
	}
	if result.State == Validated && before != Validated {
		s.noteLanguage(ctx, result)
	}
	if result.State != before {
		s.cfg.Observer.Transition(result.Purpose, result.Medium, result.State.String())
	}
	if errors.Is(verdict, ErrTokenIncorrect) {
		verdict = &WrongTokenError{result.Purpose, result.Medium}
	}
	if verdict != nil {
		return Confirmed{}, nil, verdict
	}
	return result, nil, nil
}
