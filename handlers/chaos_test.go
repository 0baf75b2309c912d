// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// errDisk is what a broken store says. It must reach nobody but the log.
var errDisk = errors.New("disk error on purpose")

// breaking is a store of which one operation fails: the call before it does
// anything, or, which is worse, an update whose writes are there all the same.
type breaking struct {
	store.Store
	mu     sync.Mutex
	count  int
	at     int // the operation that fails; 0 fails none
	late   bool
	writes bool // only updates count
}

// fail counts one operation and reports whether it is the one.
func (b *breaking) fail(write bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.writes && !write {
		return false
	}
	b.count++
	return b.at != 0 && b.count == b.at
}

// arm makes the n-th operation from here fail.
func (b *breaking) arm(n int, late bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count, b.at, b.late = 0, n, late
}

// counted is how many operations there were since.
func (b *breaking) counted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}

func (b *breaking) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if b.fail(false) {
		return errDisk
	}
	return b.Store.View(ctx, p, fn)
}

func (b *breaking) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if !b.fail(true) {
		return b.Store.Update(ctx, p, fn)
	}
	if b.late {
		if err := b.Store.Update(ctx, p, fn); err != nil {
			return err
		}
	}
	return errDisk
}

func (b *breaking) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	if b.fail(false) {
		return errDisk
	}
	return b.Store.Scan(ctx, p, prefix, fn)
}

// journey is one thing that a user does, from the first request to the last. It
// returns the answers, and stops at the first that is not what it hoped for.
type journey struct {
	name string
	run  func(c *chaos) error
}

// chaos is a rig over a store that breaks, or a clock that jumps.
type chaos struct {
	*rig
	disk  *breaking
	token string // mallory's
	round int
	step  func() // called before every request
	// pressed says that the button was pressed in this round.
	pressed bool
	// answers are the statuses and bodies of all requests.
	answers []*httptest.ResponseRecorder
	secrets []string
}

func newChaos(t *testing.T, callback bool) *chaos {
	t.Helper()
	c := &chaos{disk: &breaking{}, step: func() {}}
	c.rig = newRig(t, options{
		config: func(cfg *Config) { cfg.Callback = callback },
		service: func(vc *verification.Config) {
			c.disk.Store = vc.Store
			vc.Store = c.disk
			vc.MaxTries = 10
		},
	})
	c.hs.AddUser("alice", "old", "alice@example.org")
	c.hs.AddUser("bob", "bob's", "bob@example.org")
	c.token = c.login("bob", "bob's")
	c.ids.start("is.example", "1", "c", "email", "bob@example.org")
	return c
}

// ask sends a request; any status but the one hoped for is an error.
func (c *chaos) ask(hope int, method, target, body string, header ...string) (*httptest.ResponseRecorder, error) {
	c.t.Helper()
	c.step()
	rec := c.do(method, target, body, header...)
	c.answers = append(c.answers, rec)
	if rec.Code != hope {
		return rec, fmt.Errorf("%s %s: got %d %s, want %d", method, target, rec.Code, rec.Body, hope)
	}
	return rec, nil
}

// prove opens a session and confirms it, as client and browser do.
func (c *chaos) prove(purpose, email string) (sid, secret string, err error) {
	secret = fmt.Sprintf("secret-%d", c.round)
	c.secrets = append(c.secrets, secret)
	body := fmt.Sprintf(`{"client_secret":%q,"email":%q,"send_attempt":1}`, secret, email)
	rec, err := c.ask(http.StatusOK, "POST", "/_matrix/client/r0/"+purpose+"/email/requestToken", body)
	if err != nil {
		return "", "", err
	}
	sid, _ = decoded(c.t, rec)["sid"].(string)
	token := c.box.last(c.t).Token
	page, err := c.ask(http.StatusOK, "GET", linkQuery("sid", sid, "token", token), "")
	if err != nil {
		return "", "", err
	}
	form := fields(page)
	form.Set("token", token)
	c.clock.Advance(web.MinRead)
	c.pressed = true
	_, err = c.ask(http.StatusSeeOther, "POST", linkPath, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	return sid, secret, err
}

// journeys are all of them. Each is made with names of its own, by the round.
var journeys = []journey{
	{"register", func(c *chaos) error {
		sid, secret, err := c.prove("register", fmt.Sprintf("new%d@example.org", c.round))
		if err != nil {
			return err
		}
		body := fmt.Sprintf(`{"username":"new%d","password":"p","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":%q}}}`, c.round, sid, secret)
		_, err = c.ask(http.StatusOK, "POST", "/_matrix/client/r0/register", body)
		return err
	}},
	{"reset", func(c *chaos) error {
		sid, secret, err := c.prove("account/password", "alice@example.org")
		if err != nil {
			return err
		}
		_, err = c.ask(http.StatusOK, "POST", "/_matrix/client/r0/account/password", strings.Replace(resetBody(sid, secret), "correct horse", fmt.Sprintf("new%d", c.round), 1))
		return err
	}},
	{"add", func(c *chaos) error {
		sid, secret, err := c.prove("account/3pid", fmt.Sprintf("added%d@example.org", c.round))
		if err != nil {
			return err
		}
		body := fmt.Sprintf(`{"sid":%q,"client_secret":%q,"auth":{"type":"m.login.password","user":"bob","password":"bob's"}}`, sid, secret)
		_, err = c.ask(http.StatusOK, "POST", "/_matrix/client/v3/account/3pid/add", body, "Authorization", "Bearer "+c.token)
		return err
	}},
	{"bind", func(c *chaos) error {
		if _, err := c.ask(http.StatusOK, "POST", "/_matrix/client/v3/account/3pid/bind",
			`{"sid":"1","client_secret":"c","id_server":"is.example","id_access_token":"t"}`, "Authorization", "Bearer "+c.token); err != nil {
			return err
		}
		_, err := c.ask(http.StatusOK, "POST", "/_matrix/client/v3/account/3pid/unbind",
			`{"medium":"email","address":"bob@example.org","id_server":"is.example"}`, "Authorization", "Bearer "+c.token)
		return err
	}},
}

// effects counts what the homeserver has done for this round, which must never
// be more than once, and never without a session that was confirmed.
func (c *chaos) effects() int {
	n := 0
	for _, call := range c.hs.IDServerCalls() {
		if strings.Contains(string(call.Answer), "validated_at") {
			n++
		}
	}
	return n
}

// honest checks every answer: an error of the store is a 5xx Matrix error, or a
// page, that does not say what broke.
func (c *chaos) honest() {
	c.t.Helper()
	for _, rec := range c.answers {
		if strings.Contains(rec.Body.String(), errDisk.Error()) {
			c.t.Errorf("the client is told: %s", rec.Body)
		}
		if rec.Code >= 500 && strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") {
			wantError(c.t, rec, rec.Code, codeUnknown)
		}
		for _, secret := range c.secrets {
			if rec.Code >= 500 && strings.Contains(rec.Body.String(), secret) {
				c.t.Errorf("%q is in %s", secret, rec.Body)
			}
		}
	}
}

// broke reports whether any answer was the honest one.
func (c *chaos) broke() bool {
	return slices.ContainsFunc(c.answers, func(rec *httptest.ResponseRecorder) bool { return rec.Code >= 500 })
}

// TestStoreErrorsAtEveryCall makes the n-th operation of the store fail, for
// every n that there is, before it has had its effect and after.
func TestStoreErrorsAtEveryCall(t *testing.T) {
	for _, j := range journeys {
		for _, callback := range []bool{false, true} {
			for _, late := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/callback=%v/late=%v", j.name, callback, late), func(t *testing.T) {
					whole := newChaos(t, callback)
					whole.disk.arm(0, false)
					whole.disk.writes = late
					if err := j.run(whole); err != nil {
						t.Fatalf("without an error: %v", err)
					}
					n, proofs := whole.disk.counted(), whole.effects()
					if n < 2 {
						t.Fatalf("the journey has %d operations: nothing is tested", n)
					}
					for i := 1; i <= n; i++ {
						breakAt(t, j, callback, late, i, proofs)
					}
				})
			}
		}
	}
}

// breakAt makes one journey with one failure, and then makes it again.
func breakAt(t *testing.T, j journey, callback, late bool, at, proofs int) {
	t.Helper()
	c := newChaos(t, callback)
	c.disk.writes = late
	c.disk.arm(at, late)
	err := j.run(c)
	c.honest()
	if got := c.effects(); got > proofs {
		t.Errorf("operation %d: the homeserver was told %d times that an address is proven, want at most %d", at, got, proofs)
	}
	// Bookkeeping after the fact may fail unseen: the user has what they wanted.
	if err != nil && !c.broke() {
		t.Errorf("operation %d: it went wrong and nobody was told why: %v", at, err)
	}
	c.disk.arm(0, false)
	c.clock.Advance(2 * verification.DefaultInFlight)
	c.settled(fmt.Sprintf("operation %d", at))
	c.round++
	if err := j.run(c); err != nil {
		t.Errorf("after the failure of operation %d it cannot be repeated: %v", at, err)
	}
}

// settled is what is true of the sessions of a round when nothing is in flight
// any more: what the homeserver was told proves nothing again, and what nobody
// has confirmed proves nothing at all.
func (c *chaos) settled(when string) {
	c.t.Helper()
	for _, m := range c.box.messages {
		for _, secret := range c.secrets {
			alias, err := c.svc.Claim(c.t.Context(), verification.Completion{SID: m.SID, ClientSecret: secret, Purpose: m.Purpose})
			if err != nil {
				c.t.Errorf("%s: %v", when, err)
				continue
			}
			if alias.Live && (!c.pressed || c.effects() > 0) {
				c.t.Errorf("%s: a session is good, although it was confirmed: %v, and the homeserver was told of it %d times", when, c.pressed, c.effects())
			}
			_ = c.svc.Finish(c.t.Context(), alias, verification.Refused)
		}
	}
}

// TestClockJumps moves the clock by hours, to and fro, before each request of a
// session's life. Nothing panics, nothing is validated or used that should not
// be, and afterwards the same can be done with a clock that stands right.
func TestClockJumps(t *testing.T) {
	jumps := []time.Duration{-30 * time.Hour, -5 * time.Hour, -time.Minute, time.Minute, 5 * time.Hour, 30 * time.Hour, -365 * 24 * time.Hour, 365 * 24 * time.Hour}
	for _, j := range journeys {
		for _, callback := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/callback=%v", j.name, callback), func(t *testing.T) {
				for at := range 6 {
					for _, jump := range jumps {
						jumpAt(t, j, callback, at, jump)
					}
				}
			})
		}
	}
}

func jumpAt(t *testing.T, j journey, callback bool, at int, jump time.Duration) {
	t.Helper()
	c := newChaos(t, callback)
	steps := 0
	c.step = func() {
		if steps == at {
			c.clock.Advance(jump)
		}
		steps++
	}
	err := j.run(c)
	c.honest()
	if c.broke() {
		t.Errorf("request %d, %v: a jump of the clock is no failure of ours", at, jump)
	}
	// A session does not outlive a jump forwards by more than its lifetime.
	if jump >= 30*time.Hour && at > 0 && at < steps && err == nil && j.name != "bind" {
		t.Errorf("request %d, %v: the session was still good", at, jump)
	}
	if jump > -30*time.Hour && jump < time.Hour && err != nil {
		t.Errorf("request %d, %v: a small jump must not harm anybody: %v", at, jump, err)
	}
	c.step = func() {}
	c.clock.Advance(2*verification.DefaultInFlight - jump) // the clock is put right
	c.settled(fmt.Sprintf("request %d, %v", at, jump))
	c.round++
	if err := j.run(c); err != nil {
		t.Errorf("after a jump of %v before request %d and back, it cannot be repeated: %v", jump, at, err)
	}
}
