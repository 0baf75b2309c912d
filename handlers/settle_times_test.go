// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// hanging is a store that, while it hangs, writes nothing until nobody waits for it.
type hanging struct {
	store.Store
	hangs atomic.Bool
	last  context.Context //nolint:containedctx // of the last write, to see that it has ended
}

func (h *hanging) Update(ctx context.Context, p store.Partition, f func(store.Txn) error) error {
	h.last = ctx
	if h.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return h.Store.Update(ctx, p, f)
}

// TestWhatMustBeWrittenIsWaitedFor: for a quarter of a minute, whether or not the client is
// there, and no longer.
func TestWhatMustBeWrittenIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &hanging{}
		r := newRig(t, options{service: func(c *verification.Config) {
			disk.Store = c.Store
			c.Store = disk
		}})
		r.hs.AddUser("alice", "secret", "alice@x.org")
		token := r.login("alice", "secret")
		sid := r.validated("account/password", "c", "alice@x.org")
		proof, err := r.proving(`{"type":"m.login.email.identity","threepid_creds":{"sid":"`+sid+`","client_secret":"c"}}`, func(w http.ResponseWriter, req *http.Request) error {
			req.Header.Set("Authorization", "Bearer "+token)
			return r.next(w, req)
		})
		if err != nil {
			t.Fatal(err)
		}
		r.client.cfg.RegistrationGate = GateCompleted
		gone, leave := context.WithCancel(t.Context())
		leave()
		disk.hangs.Store(true)
		for name, do := range map[string]func(){
			"a proof": func() { proof.settle(gone, verification.Refused) },
			"a registration": func() {
				req := httptest.NewRequest("POST", "/", http.NoBody).WithContext(gone)
				r.client.progress(req, []byte(`{"session":"u","flows":[{"stages":["captcha","m.login.email.identity"]}]}`))
			},
			"a session": func() {
				rec := r.do("POST", "/_matrix/client/v3/account/3pid/email/requestToken", validToken)
				wantStatus(t, rec, http.StatusInternalServerError)
			},
		} {
			start := time.Now()
			if do(); time.Since(start) != 15*time.Second {
				t.Errorf("%s: waited for %s, want 15 s", name, time.Since(start))
			}
			if context.Cause(disk.last) == nil {
				t.Errorf("%s: it is waited for still", name)
			}
		}
	})
}

// lender is a guard that tells how long a release may take.
type lender struct {
	purse
	left  time.Duration
	ended func() bool
}

func (l *lender) Admit(*http.Request, verification.Request, phone.Number) (func(context.Context), error) {
	return func(ctx context.Context) {
		if end, ok := ctx.Deadline(); ok && ctx.Err() == nil {
			l.left = time.Until(end)
		}
		l.ended = func() bool { return ctx.Err() != nil }
	}, nil
}

// TestPhones_WhatIsNotSentIsGivenBack, to who has left too, and in the same time.
func TestPhones_WhatIsNotSentIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := phoneRig(t, options{})
		guard := &lender{}
		r.client.cfg.Phones.Guard = guard
		req := verification.Request{Purpose: threepid.Add, ThreePID: threepid.ThreePID{Medium: threepid.MSISDN, Address: "447400123456"}, ClientSecret: "s", SendAttempt: 1}
		settle, err := r.client.admit(&wire.Call{R: httptest.NewRequest("POST", "/", http.NoBody)}, &req, recipient{})
		if err != nil {
			t.Fatal(err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if settle(gone, true); guard.left != 0 {
			t.Error("what was sent is given back")
		}
		if settle(gone, false); guard.left != 15*time.Second || !guard.ended() {
			t.Errorf("it may take %s, want 15 s; it has ended: %v", guard.left, guard.ended())
		}
	})
}

// TestPace_WhatIsUsual is what the homeserver takes to grant; what it refuses, or breaks
// off, tells nothing of that, and what is answered by itself is not held up.
func TestPace_WhatIsUsual(t *testing.T) {
	const takes = 10 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, callback)
		r.hs.AddUser("owner", "secret", "owner@x.org")
		r.client.equalizer = newEqualizer(leastStep)
		legacy := r.next
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			time.Sleep(takes)
			return legacy(w, req)
		}
		ask := func(email string) time.Duration {
			start := time.Now()
			r.do("POST", registerToken, emailBody("s", email))
			return time.Since(start)
		}
		for _, c := range []struct {
			email       string
			next        wire.Next
			took, usual time.Duration
		}{
			{"owner@x.org", r.next, leastStep, 0},
			{"a@x.org", func(http.ResponseWriter, *http.Request) error { return wire.ErrNoAnswer }, leastStep, 0},
			{"b@x.org", upstream(500, `{"errcode":"M_UNKNOWN","error":"x"}`), 0, 0},
			{"c@x.org", r.next, leastStep, takes},
		} {
			r.next = c.next
			if got := ask(c.email); got != c.took || r.client.equalizer.usual != c.usual {
				t.Errorf("%s: answered after %s, and usual is %s; want %s and %s", c.email, got, r.client.equalizer.usual, c.took, c.usual)
			}
		}
	})
}
