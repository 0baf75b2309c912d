// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
)

// operatorDeeds are what operators, readers and the outbox do.
var operatorDeeds = []deed{
	{name: "Explain", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return answers(func() (bool, error) { return s.Explain(bg, s.message()) })
	}, tells: true},
	{name: "Explained", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return nothing(func() error { return s.Explained(bg, s.message(), true) })
	}},
	{name: "Explained in vain", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		_, err := s.Explain(bg, s.message())
		wantNone(s, err)
		return nothing(func() error { return s.Explained(bg, s.message(), false) })
	}},
	{name: "Cooling", prepare: func(s *shaky) func() (any, error) {
		m := s.refused()
		return answers(func() (time.Duration, error) { return s.Cooling(bg, m) })
	}},
	{name: "Notify", prepare: func(s *shaky) func() (any, error) {
		readers := []Reader{{"alice@example.com", NoticeGone}, {"bob@example.com", NoticeAdded}}
		return nothing(func() error { return s.Notify(bg, Happened{Account: bounded.User}, readers) })
	}, parts: true, counts: true},
	{name: "InspectRefusal", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return answers(func() (Confirmed, error) { return s.InspectRefusal(bg, s.message().SID, s.message().Refusal) })
	}},
	{name: "Recall", prepare: func(s *shaky) func() (any, error) {
		sid := s.open(known()).SID
		return answers(func() (Confirmed, error) { return s.Recall(bg, sid) })
	}},
	{name: "Refuse", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return nothing(func() error { return s.Refuse(bg, s.message().SID, s.message().Refusal, false) })
	}, parts: true},
	{name: "RevokeSession", prepare: func(s *shaky) func() (any, error) {
		sid := s.open(known()).SID
		s.open(known(attempt(2)))
		return nothing(func() error { return s.RevokeSession(bg, sid) })
	}},
	{name: "RevokeByAddress", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		s.open(known(secret("other")))
		return answers(func() (int, error) { return s.RevokeByAddress(bg, Email, "alice@example.com") })
	}, parts: true, tells: true},
	{name: "Resend", prepare: func(s *shaky) func() (any, error) {
		sid := s.open(known()).SID
		return nothing(func() error { return s.Resend(bg, sid) })
	}, counts: true},
	{name: "Resend of a decoy", prepare: func(s *shaky) func() (any, error) {
		nonce := s.await(known())
		opened, err := s.Decoy(bg, nonce)
		wantNone(s, err)
		return nothing(func() error { return s.Resend(bg, opened.SID) })
	}, counts: true},
	{name: "Describe", prepare: func(s *shaky) func() (any, error) {
		sid := s.open(known()).SID
		return answers(func() (Admin, error) { return s.Describe(bg, sid) })
	}},
	{name: "FindAll", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return answers(func() ([]Admin, error) { return s.FindAll(bg) })
	}},
	{name: "FindByPseudonym", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return answers(func() ([]Admin, error) { return s.FindByPseudonym(bg, s.Pseudonym("alice@example.com")) })
	}},
	{name: "FindByAddress", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return answers(func() ([]Found, error) { return s.FindByAddress(bg, Email, "alice@example.com") })
	}},
	{name: "Limits", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return answers(func() ([]LimitState, error) {
			list, _, err := s.Limits(bg, Email, "alice@example.com", "example.com")
			return list, err
		})
	}, tells: true},
	{name: "Budgets", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return answers(func() ([]ClassBudget, error) { return s.Budgets(bg) })
	}, tells: true},
	{name: "NoteFeedback", prepare: func(s *shaky) func() (any, error) {
		sid := s.open(known()).SID
		return nothing(func() error { return s.NoteFeedback(bg, sid, Bounced) })
	}},
	{name: "NoteReceipt", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return nothing(func() error { return s.NoteReceipt(bg, s.message().ID, Arrived) })
	}},
	{name: "Recipient", prepare: func(s *shaky) func() (any, error) {
		sid := s.open(known()).SID
		return answers(func() (string, error) {
			_, addr, err := s.Recipient(bg, sid)
			return addr, err
		})
	}},
	{name: "Forget", prepare: func(s *shaky) func() (any, error) {
		s.proves(s.claim(completes(s.validated(known()))))
		s.open(known(secret("other")))
		wantNone(s, s.Refuse(bg, s.message().SID, s.message().Refusal, false))
		wantNone(s, s.Bind(bg, bounded))
		return answers(func() (sealed.Forgotten, error) { return s.Forget(bg, Email, "alice@example.com") })
	}, parts: true, tells: true},
	{name: "SealedBy", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		counts := map[byte]int{}
		return answers(func() (map[byte]int, error) {
			clear(counts)
			return counts, s.SealedBy(bg, counts)
		})
	}, tells: true},
}

// refused is a message whose reader wants no more of them.
func (s *shaky) refused() Message {
	s.Helper()
	s.open(known())
	m := s.message()
	wantNone(s, s.Refuse(bg, m.SID, m.Refusal, false))
	return m
}
