// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"net/netip"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// deeds are all of them.
var deeds = slices.Concat(clientDeeds, operatorDeeds)

// deed is one thing that the service does: a method and what it is about, prepared
// on a store that does not fail yet.
type deed struct {
	name    string
	prepare func(s *shaky) func() (any, error)
	// parts says that it is more than one transaction, of which some may be done;
	// counts that it does something more each time; tells that it says what it knows
	// beside an error.
	parts, counts, tells bool
}

// nothing is a deed that answers nothing.
func nothing(do func() error) func() (any, error) {
	return func() (any, error) { return nil, do() }
}

// answers is one that answers something.
func answers[T any](do func() (T, error)) func() (any, error) {
	return func() (any, error) { return do() }
}

// somebody is where a request comes from.
var somebody = netip.MustParseAddr("192.0.2.1")

// known is a request of somebody of whom everything is known.
func known(change ...func(*Request)) Request {
	req := ask(change...)
	req.Client, req.Domain, req.AccessToken, req.Language = somebody, "example.com", "token", "en"
	return req
}

// bounded is a binding.
var bounded = Binding{User: "@u:example.com", Medium: threepid.Email, Address: "alice@example.com", IDServer: "is.example"}

// message is the newest one.
func (s *shaky) message() Message { s.Helper(); return s.outbox.last(s) }

// clientDeeds are what clients and homeservers have done.
var clientDeeds = []deed{
	{name: "RequestToken of a new session", prepare: func(s *shaky) func() (any, error) {
		return answers(func() (Opened, error) { return s.RequestToken(bg, known()) })
	}},
	{name: "RequestToken again", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return answers(func() (Opened, error) { return s.RequestToken(bg, known()) })
	}},
	{name: "RequestToken of the next attempt", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return answers(func() (Opened, error) { return s.RequestToken(bg, known(attempt(2))) })
	}},
	{name: "RequestToken over the limit", prepare: func(s *shaky) func() (any, error) {
		s.cfg.PerAddress.Burst = 1
		s.open(known())
		return answers(func() (Opened, error) { return s.RequestToken(bg, known()) })
	}},
	{name: "RequestToken over the limit, and due", prepare: func(s *shaky) func() (any, error) {
		s.cfg.PerAddress.Burst = 1
		s.open(known())
		return answers(func() (Opened, error) { return s.RequestToken(bg, known(attempt(2))) })
	}},
	{name: "RequestToken too early", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return answers(func() (Opened, error) {
			return s.RequestToken(bg, known(attempt(2), func(r *Request) { r.RepeatOnly, r.Early = true, true }))
		})
	}},
	{name: "Due", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		return answers(func() (bool, error) {
			due, open, err := s.Due(bg, known(attempt(2)))
			return due && open, err
		})
	}, tells: true},
	{name: "Count", prepare: func(s *shaky) func() (any, error) {
		return nothing(func() error { return s.Count(bg, known()) })
	}},
	{name: "CountUser", prepare: func(s *shaky) func() (any, error) {
		return nothing(func() error { return s.CountUser(bg, "bind", bounded.User) })
	}},
	{name: "Guess", prepare: func(s *shaky) func() (any, error) {
		return nothing(func() error {
			_, err := s.Guess(bg, netip.MustParseAddr("192.0.2.7"))
			return err
		})
	}},
	{name: "Await", prepare: func(s *shaky) func() (any, error) {
		return answers(func() (threepid.Nonce, error) { return s.Await(bg, known()) })
	}, counts: true},
	{name: "Callback", prepare: func(s *shaky) func() (any, error) {
		nonce := s.await(known())
		return answers(func() (Opened, error) {
			return s.Callback(bg, nonce, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"})
		})
	}},
	{name: "Callback with no room", prepare: func(s *shaky) func() (any, error) {
		nonce := s.await(known())
		s.outbox.refuse = &BusyError{1}
		return answers(func() (Opened, error) {
			return s.Callback(bg, nonce, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"})
		})
	}},
	{name: "Callback with no room, which nobody is told", prepare: func(s *shaky) func() (any, error) {
		req := known(func(r *Request) { r.Discreet = true })
		nonce := s.await(req)
		s.outbox.refuse = &BusyError{1}
		return answers(func() (Opened, error) {
			return s.Callback(bg, nonce, req.ThreePID)
		})
	}},
	{name: "Decoy", prepare: func(s *shaky) func() (any, error) {
		nonce := s.await(known())
		return answers(func() (Opened, error) { return s.Decoy(bg, nonce) })
	}},
	{name: "Settle", prepare: func(s *shaky) func() (any, error) {
		nonce := s.await(known())
		s.callback(nonce, known())
		return answers(func() (Opened, error) { return s.Settle(bg, nonce, false) })
	}, tells: true},
	{name: "Settle without a callback", prepare: func(s *shaky) func() (any, error) {
		nonce := s.await(known())
		return answers(func() (Opened, error) { return s.Settle(bg, nonce, false) })
	}},
	{name: "Adopt", prepare: func(s *shaky) func() (any, error) {
		return nothing(func() error { return s.Adopt(bg, "theirs", "nonce", known()) })
	}},
	{name: "Adopted", prepare: func(s *shaky) func() (any, error) {
		wantNone(s, s.Adopt(bg, "theirs", "nonce", known()))
		return answers(func() (threepid.Nonce, error) {
			return s.Adopted(bg, "theirs", known().ClientSecret, threepid.Register)
		})
	}},
	{name: "Submit of a link", prepare: func(s *shaky) func() (any, error) {
		sub := Submission{SID: s.open(known()).SID, Token: s.message().Token, Client: somebody}
		return answers(func() (Confirmed, error) { return s.Submit(bg, sub) })
	}},
	{name: "Submit of a code", prepare: func(s *shaky) func() (any, error) {
		sub := Submission{SID: s.open(known(proof(ProofCode))).SID, Token: s.message().Token, Client: somebody}
		return answers(func() (Confirmed, error) { return s.Submit(bg, sub) })
	}},
	{name: "Submit of a wrong code", prepare: func(s *shaky) func() (any, error) {
		sub := Submission{SID: s.open(known(proof(ProofCode))).SID, Token: "wrong", Client: somebody}
		return answers(func() (Confirmed, error) { return s.Submit(bg, sub) })
	}, counts: true},
	{name: "Inspect", prepare: func(s *shaky) func() (any, error) {
		sub := Submission{SID: s.open(known()).SID, Token: s.message().Token}
		return answers(func() (Confirmed, error) { return s.Inspect(bg, sub) })
	}},
	{name: "NoteOpen", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		_, err := s.NoteOpen(bg, s.message())
		wantNone(s, err)
		s.open(known(secret("other")))
		return answers(func() (bool, error) { return s.NoteOpen(bg, s.message()) })
	}, parts: true},
	{name: "Another", prepare: func(s *shaky) func() (any, error) {
		s.open(known())
		_, err := s.NoteOpen(bg, s.message())
		wantNone(s, err)
		return answers(func() (bool, error) {
			return s.Another(bg, "no sid", Confirmed{Purpose: threepid.Register, ThreePID: threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"}})
		})
	}},
	{name: "Claim", prepare: func(s *shaky) func() (any, error) {
		sid := s.validated(known())
		return answers(func() (bool, error) {
			a, err := s.Claim(bg, completes(sid))
			return a != nil && a.Live, err
		})
	}},
	{name: "Ready", prepare: func(s *shaky) func() (any, error) {
		sid := s.validated(known())
		return answers(func() (bool, error) { return s.Ready(bg, completes(sid)) })
	}},
	{name: "Spell", prepare: func(s *shaky) func() (any, error) {
		a := s.claim(completes(s.validated(known())))
		return nothing(func() error { return s.Spell(bg, a, "Alice@example.com") })
	}},
	{name: "Validated", prepare: func(s *shaky) func() (any, error) {
		a := s.claim(completes(s.validated(known())))
		return answers(func() (Proven, error) { return s.Validated(bg, a.SID, a.ClientSecret) })
	}},
	{name: "Finish", prepare: func(s *shaky) func() (any, error) {
		a := s.claim(completes(s.validated(known())))
		s.proves(a)
		return nothing(func() error { return s.Finish(bg, a, Completed) })
	}},
	{name: "Hold", prepare: func(s *shaky) func() (any, error) {
		s.open(known(held("u1")))
		return nothing(func() error { return s.Hold(bg, known(held("u1")), false) })
	}},
	{name: "Hold of what is ready", prepare: func(s *shaky) func() (any, error) {
		s.advance("u1")
		s.open(known(held("u1")))
		return nothing(func() error { return s.Hold(bg, known(held("u1")), false) })
	}},
	{name: "Advance", prepare: func(s *shaky) func() (any, error) {
		s.hold(known(held("u1")))
		return answers(func() (bool, error) { return s.Advance(bg, "u1", threepid.Email) })
	}, parts: true, tells: true},
	{name: "Advance of a session that is gone", prepare: func(s *shaky) func() (any, error) {
		wantNone(s, s.RevokeSession(bg, s.hold(known(held("u1")))))
		return answers(func() (bool, error) { return s.Advance(bg, "u1", threepid.Email) })
	}, tells: true},
	{name: "Reached", prepare: func(s *shaky) func() (any, error) {
		s.advance("u1")
		return answers(func() (bool, error) { return s.Reached(bg, "u1", threepid.Email) })
	}},
	{name: "NoteRegistration", prepare: func(s *shaky) func() (any, error) {
		return nothing(func() error { return s.NoteRegistration(bg, somebody, "agent", "u1") })
	}},
	{name: "NewestRegistration", prepare: func(s *shaky) func() (any, error) {
		wantNone(s, s.NoteRegistration(bg, somebody, "agent", "u1"))
		return answers(func() (threepid.UIASession, error) { return s.NewestRegistration(bg, somebody, "agent") })
	}, tells: true},
	{name: "Bind", prepare: func(s *shaky) func() (any, error) {
		wantNone(s, s.Bind(bg, bounded))
		return nothing(func() error { return s.Bind(bg, bounded) })
	}, parts: true},
	{name: "MayBind", prepare: func(s *shaky) func() (any, error) {
		s.bindAll(bounded.User, MaxBindings)
		return nothing(func() error { return s.MayBind(bg, bounded.User) })
	}},
	{name: "Bindings", prepare: func(s *shaky) func() (any, error) {
		s.bindAll(bounded.User, 2)
		return answers(func() ([]Binding, error) { return s.Bindings(bg, bounded.User) })
	}},
	{name: "Unbind", prepare: func(s *shaky) func() (any, error) {
		wantNone(s, s.Bind(bg, bounded))
		return nothing(func() error { return s.Unbind(bg, bounded.User, bounded) })
	}, parts: true},
	{name: "Reseal", prepare: func(s *shaky) func() (any, error) {
		s.bindAll(bounded.User, 2)
		s.rotate()
		return answers(func() (int, error) { return s.Reseal(bg) })
	}, parts: true, tells: true},
}

func wantNone(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("prepare: %v", err)
	}
}
