// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// errDisk is what a broken store says. It must reach nobody but the log.
var errDisk = errors.New("disk error on purpose")

// journey is one thing that a user does, from the first request to the last. It
// returns the answers, and stops at the first that is not what it hoped for.
type journey struct {
	name string
	run  func(c *chaos) error
	// before, if there is any, is what has happened when it begins.
	before func(c *chaos)
	// off says that it matters whether the homeserver is asked first.
	off bool
	// done reports whether the homeserver has done what it was for; a journey that has
	// none is somebody's who has no right to what they want.
	done func(c *chaos) bool
}

// chaos is a rig over a store that breaks, before a homeserver that fails, or with a
// clock that jumps.
type chaos struct {
	*rig
	disk  *storetest.Breaking
	far   *farSide
	token string // bob's
	round int
	step  func() // called before every request
	// again says that what was answered with an error because of a fault is sent again.
	again bool
	// pressed are the sessions that were confirmed, perhaps.
	pressed map[string]bool
	// rights are what may be done, and how often: a proof is worth one of each.
	rights map[string]int
	since  int // how much of the homeserver's ledger is older
	// answers are the statuses and bodies of all requests.
	answers []*httptest.ResponseRecorder
	secrets []string
}

func newChaos(t *testing.T, callback bool, service ...func(*verification.Config)) *chaos {
	t.Helper()
	c := &chaos{disk: &storetest.Breaking{Err: errDisk}, far: &farSide{}, step: func() {}, rights: map[string]int{}, pressed: map[string]bool{}}
	c.rig, _ = phoneRig(t, options{
		config: func(cfg *Config) { cfg.Callback = callback },
		service: func(vc *verification.Config) {
			c.disk.Store = vc.Store
			vc.Store = c.disk
			vc.MaxTries = 10
			for _, change := range service {
				change(vc)
			}
		},
		next: c.next,
	})
	c.hs.AddUser("alice", "old", "alice@example.org")
	c.hs.AddUser("bob", "bob's", "bob@example.org")
	c.token = c.login("bob", "bob's")
	c.ids.Start("is.example", "1", "c", "email", "bob@example.org")
	c.hs.Inject(-1, c.far.meets, func(w http.ResponseWriter, r *http.Request, next http.Handler) { c.far.fault.do(w, r, next) })
	return c
}

// next is the way to the homeserver. A fault may lose the answer.
func (c *chaos) next(w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			lost, ok := p.(*wire.UpstreamError)
			if !ok {
				panic(p)
			}
			err = lost
		}
	}()
	c.hs.ServeHTTP(w, r)
	return nil
}

// faulty reports whether the fault was met.
func (c *chaos) faulty() bool { return c.disk.Broke() != "" || c.far.broke != "" }

// ask sends a request; any status but the one hoped for is an error.
func (c *chaos) ask(hope int, method, target, body string, header ...string) (*httptest.ResponseRecorder, error) {
	c.t.Helper()
	c.step()
	before := c.faulty()
	rec := c.once(method, target, body, header...)
	if rec.Code != hope && c.again && c.faulty() && !before {
		c.clock.Advance(verification.DefaultInFlight) // and nothing is in flight any more
		rec = c.once(method, target, body, header...)
	}
	if rec.Code != hope {
		return rec, fmt.Errorf("%s %s: got %d %s, want %d", method, target, rec.Code, rec.Body, hope)
	}
	return rec, nil
}

// once sends it once. What the server does with a request that is not answered is told
// by its status, 502.
func (c *chaos) once(method, target, body string, header ...string) *httptest.ResponseRecorder {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Minute) // a client's patience
	defer cancel()
	req := httptest.NewRequest(method, target, strings.NewReader(body)).WithContext(ctx)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	defer func() { c.answers = append(c.answers, rec) }()
	if err := c.served(rec, req); err != nil {
		rec = httptest.NewRecorder()
		rec.WriteHeader(http.StatusBadGateway)
	}
	return rec
}

// served is the error of a request, a connection that is broken off included.
func (c *chaos) served(w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			err = errBrokenOff
		default:
			panic(p)
		}
	}()
	return c.client.ServeHTTP(w, r, c.rig.next)
}

// errBrokenOff is what a server makes of a connection that is broken off.
var errBrokenOff = errors.New("broken off")

// prove opens a session and confirms it, as client and browser do.
func (c *chaos) prove(purpose, email string) (sid, secret string, err error) {
	if sid, secret, err = c.opens(purpose, email); err != nil {
		return "", "", err
	}
	token := c.tokenOf(sid)
	page, err := c.ask(http.StatusOK, "GET", linkQuery("sid", sid, "token", token), "")
	if err != nil {
		return "", "", err
	}
	form := fields(page)
	form.Set("token", token)
	c.clock.Advance(web.MinRead)
	c.mayNow(sid, purpose, strings.ToLower(email))
	_, err = c.ask(http.StatusSeeOther, "POST", linkPath, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	return sid, secret, err
}

// mayNow notes what the reader of a message gives a right to.
func (c *chaos) mayNow(sid, purpose, address string) {
	c.pressed[sid] = true
	c.rights[purpose]++
	c.rights[purpose+" "+address]++
}

// opens asks for a session.
func (c *chaos) opens(purpose, email string) (sid, secret string, err error) {
	secret = fmt.Sprintf("secret-%d-%d", c.round, len(c.secrets))
	c.secrets = append(c.secrets, secret)
	body := fmt.Sprintf(`{"client_secret":%q,"email":%q,"send_attempt":1}`, secret, email)
	rec, err := c.ask(http.StatusOK, "POST", "/_matrix/client/r0/"+purpose+"/email/requestToken", body)
	if err != nil {
		return "", "", err
	}
	return sidIn(rec), secret, nil
}

// sidIn is the session of an answer, if it says one.
func sidIn(rec *httptest.ResponseRecorder) string {
	var body struct {
		SID string `json:"sid"`
	}
	_ = json.Unmarshal(rec.Body.Bytes(), &body) // the homeserver may say anything
	return body.SID
}

// mails are all messages.
func (c *chaos) mails() []verification.Message {
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	return slices.Clone(c.box.messages)
}

// tokenOf is the token of the newest message of a session.
func (c *chaos) tokenOf(sid string) string {
	for _, m := range slices.Backward(c.mails()) {
		if m.SID == threepid.SID(sid) {
			return string(m.Token)
		}
	}
	return "none"
}

// journeys are all of them. Each is made with names of its own, by the round.
var journeys = []journey{
	{name: "register", run: func(c *chaos) error {
		sid, secret, err := c.prove("register", fmt.Sprintf("new%d@example.org", c.round))
		if err != nil {
			return err
		}
		body := fmt.Sprintf(`{"username":"new%d","password":"p","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":%q}}}`, c.round, sid, secret)
		_, err = c.ask(http.StatusOK, "POST", "/_matrix/client/r0/register", body)
		return err
	}, done: func(c *chaos) bool { return len(c.hs.Emails(fmt.Sprintf("new%d", c.round))) == 1 }},
	{name: "reset", run: func(c *chaos) error {
		sid, secret, err := c.prove("account/password", "alice@example.org")
		if err != nil {
			return err
		}
		_, err = c.ask(http.StatusOK, "POST", "/_matrix/client/r0/account/password", strings.Replace(resetBody(sid, secret), "correct horse", fmt.Sprintf("new%d", c.round), 1))
		return err
	}, done: func(c *chaos) bool { return c.hs.CheckPassword("alice", fmt.Sprintf("new%d", c.round)) }},
	{name: "add", run: func(c *chaos) error {
		sid, secret, err := c.prove("account/3pid", fmt.Sprintf("added%d@example.org", c.round))
		if err != nil {
			return err
		}
		body := fmt.Sprintf(`{"sid":%q,"client_secret":%q,"auth":{"type":"m.login.password","user":"bob","password":"bob's"}}`, sid, secret)
		_, err = c.ask(http.StatusOK, "POST", "/_matrix/client/v3/account/3pid/add", body, "Authorization", "Bearer "+c.token)
		return err
	}, done: func(c *chaos) bool {
		return slices.Contains(c.hs.Emails("bob"), fmt.Sprintf("added%d@example.org", c.round))
	}},
	{name: "bind", run: func(c *chaos) error {
		if _, err := c.ask(http.StatusOK, "POST", "/_matrix/client/v3/account/3pid/bind",
			`{"sid":"1","client_secret":"c","id_server":"is.example","id_access_token":"t"}`, "Authorization", "Bearer "+c.token); err != nil {
			return err
		}
		_, err := c.ask(http.StatusOK, "POST", "/_matrix/client/v3/account/3pid/unbind",
			`{"medium":"email","address":"bob@example.org","id_server":"is.example"}`, "Authorization", "Bearer "+c.token)
		return err
	}, done: func(c *chaos) bool { return c.ids.Owner("is.example", "email", "bob@example.org") == "" }},
}

// told counts how often the homeserver was told in this round that an address is
// proven.
func (c *chaos) told(address string) int {
	n := 0
	for _, call := range c.hs.IDServerCalls() {
		if answer := string(call.Answer); strings.Contains(answer, "validated_at") && strings.Contains(answer, `"`+address+`"`) {
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
			wantError(c.t, rec, rec.Code, wire.CodeUnknown)
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

// settled is what is true of the sessions of a round when nothing is in flight
// any more: what the homeserver was told proves nothing again, and what nobody
// has confirmed proves nothing at all.
func (c *chaos) settled(when string) {
	c.t.Helper()
	for _, m := range c.mails() {
		if c.told(m.Address) > 1 {
			c.t.Errorf("%s: the homeserver was told %d times that %s is proven", when, c.told(m.Address), m.Address)
		}
		for _, secret := range c.secrets {
			alias, err := c.svc.Claim(c.t.Context(), verification.Completion{SID: m.SID, ClientSecret: threepid.ClientSecret(secret), Purpose: m.Purpose})
			if err != nil {
				c.t.Errorf("%s: %v", when, err)
				continue
			}
			if alias.Live && (!c.pressed[string(m.SID)] || c.told(m.Address) > 0) {
				c.t.Errorf("%s: a session is good, although it was confirmed: %v, and the homeserver was told of it %d times", when, c.pressed[string(m.SID)], c.told(m.Address))
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
