// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// TestGate_WhichAnswersTeach what the homeserver offers: those to registrations of users,
// where the gate wants to know.
func TestGate_WhichAnswersTeach(t *testing.T) {
	for _, c := range []struct {
		gate    Gate
		path    string
		teaches bool
	}{
		{GateOffered, "v3/register", true},
		{GateCompleted, "r0/register", true},
		{GateOffered, "v3/register?kind=user", true},
		{GateOffered, "v3/register?kind=user&kind=guest", true},
		{GateOffered, "v3/register?kind=guest", false},
		{GateOffered, "v3/register?kind=", false},
		{GateOffered, "api/v1/register", false},
		{GateOffered, "v3/account/password", false},
		{GateOff, "v3/register", false},
	} {
		var asked string
		r := gated(t, options{next: func(w http.ResponseWriter, req *http.Request) error {
			asked = req.Header.Get("Accept-Encoding")
			return upstream(401, withEmail)(w, req)
		}}, c.gate, nil)
		req := httptest.NewRequest("POST", "/_matrix/client/"+c.path, strings.NewReader(`{"username":"a","type":"m.login.dummy"}`))
		req.Header.Set("Accept-Encoding", "gzip")
		wantStatus(t, r.send(req), http.StatusUnauthorized)
		if got := r.taught(); got != c.teaches {
			t.Errorf("%s, gate %s: teaches %v, want %v", c.path, c.gate, got, c.teaches)
		}
		if c.teaches && asked != "identity" || req.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("%s: an answer in %q was asked for, and left is %v", c.path, asked, req.Header)
		}
	}
}

// taught reports whether it is known what the homeserver offers.
func (r *rig) taught() bool {
	known := true
	_, _ = r.client.offers.Get(r.t.Context(), r.clock.Now, func() (*hsapi.Offer, error) {
		known = false
		return nil, errDisk
	})
	return known
}

// TestGate_WhatIsNoRound teaches nothing, and goes to the client as it came.
func TestGate_WhatIsNoRound(t *testing.T) {
	for _, body := range []string{`{"session":"s"}`, `{"session":"s","flows":[]}`, `<html>`, `{"session":5,"flows":[{"stages":[]}]}`} {
		r := gated(t, options{next: upstream(401, body)}, GateCompleted, nil)
		rec := r.do("POST", "/_matrix/client/v3/register", `{"username":"a"}`)
		if r.taught() || rec.Code != http.StatusUnauthorized {
			t.Errorf("%s: taught %v; the client got %d %s", body, r.taught(), rec.Code, rec.Body)
		}
	}
	failure := errors.New("refused")
	r := gated(t, options{next: func(http.ResponseWriter, *http.Request) error { return failure }}, GateCompleted, nil)
	rec := httptest.NewRecorder()
	req := httptest.NewRequest("POST", "/_matrix/client/v3/register", strings.NewReader(`{"username":"a"}`))
	if err := r.client.ServeHTTP(rec, req, r.next); err == nil && rec.Code < 500 {
		t.Errorf("got %d %s of a homeserver that has not answered", rec.Code, rec.Body)
	}
}

// TestGate_WhoseRegistrationIsRemembered: for the client that has begun it, by the name of
// a session that is no longer than names may be, and only where stages count.
func TestGate_WhoseRegistrationIsRemembered(t *testing.T) {
	for _, c := range []struct {
		gate    Gate
		session string
		want    bool
	}{
		{GateCompleted, "u", true},
		{GateCompleted, "", false},
		{GateOffered, "u", false},
		{GateCompleted, strings.Repeat("u", maxUIASession), true},
		{GateCompleted, strings.Repeat("u", maxUIASession+1), false},
	} {
		r := gated(t, options{}, c.gate, nil)
		req := httptest.NewRequest("POST", "/", http.NoBody)
		req.Header.Set("User-Agent", "app")
		r.client.progress(req, []byte(`{"session":"`+c.session+`","completed":["captcha"],"flows":[{"stages":["captcha","m.login.email.identity"]}]}`))
		got, err := r.svc.NewestRegistration(t.Context(), r.client.cfg.clientAddr(req), "app")
		if err != nil || (got == c.session && got != "") != c.want {
			t.Errorf("%s, a session of %d signs: remembered is %q, %v", c.gate, len(c.session), got, err)
		}
		if reached, err := r.svc.Reached(t.Context(), c.session, verification.Email); err != nil || reached != c.want {
			t.Errorf("%s, a session of %d signs: come so far %v, %v", c.gate, len(c.session), reached, err)
		}
		if !r.taught() {
			t.Errorf("%s: what is offered is not learnt", c.gate)
		}
	}
}

// sleepy is a store whose writes take some time.
type sleepy struct{ store.Store }

func (s sleepy) Update(ctx context.Context, p store.Partition, f func(store.Txn) error) error {
	time.Sleep(time.Millisecond)
	return s.Store.Update(ctx, p, f)
}

// TestGate_AReleaseTakesAStep: how full the outbox is tells who has which address; a round
// that releases nothing takes no time.
func TestGate_AReleaseTakesAStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := callback
		opts.service = func(c *verification.Config) { c.Store = sleepy{c.Store} }
		r := gated(t, opts, GateCompleted, func(o *fakehs.Options) { o.CaptchaResponse = "solved" })
		r.client.equalizer = newEqualizer(leastStep)
		took := func(f func()) time.Duration {
			start := time.Now()
			f()
			return time.Since(start)
		}
		var session string
		if got := took(func() { session = r.begin() }); got >= leastStep {
			t.Errorf("the first round took %s", got)
		}
		wantStatus(t, r.signUp("s"), http.StatusOK)
		usual := r.client.equalizer.usual
		if got := took(func() { r.stage(session, `"type":"m.login.recaptcha","response":"solved"`) }); got != leastStep {
			t.Errorf("the round that released the mail took %s, want %s", got, leastStep)
		}
		r.wantMails(1)
		if got := took(func() { r.stage(session, `"type":"m.login.dummy"`) }); got >= leastStep {
			t.Errorf("the round after it took %s", got)
		}
		if got := r.client.equalizer.usual; got != usual || usual == 0 {
			t.Errorf("after it %s is usual for what the homeserver grants, before it was %s", got, usual)
		}
	})
}

// TestGate_NumbersWaitForTheEarlierStages: nothing is held back that is paid for at once.
func TestGate_NumbersWaitForTheEarlierStages(t *testing.T) {
	a := &answering{}
	const flows = `"session":"u","params":{},"flows":[{"stages":["captcha","m.login.msisdn"]}]`
	a.say(401, `{`+flows+`}`)
	r, p := phoneRig(t, options{next: a.next, config: func(c *Config) { c.RegistrationGate = GateCompleted }})
	body := phoneBody("s", "GB", "07400 123456", 1)
	begin := func() { r.do("POST", "/_matrix/client/v3/register", `{"username":"a"}`) }
	begin()
	rec := r.requestPhone("register", body)
	wantError(t, rec, http.StatusForbidden, "M_FORBIDDEN")
	if p.spent() != 0 || r.box.count() != 0 || !strings.Contains(rec.Body.String(), "earlier steps") {
		t.Errorf("got %s; %d messages are paid for", rec.Body, p.spent())
	}
	a.say(401, `{`+flows+`,"completed":["captcha"]}`)
	begin()
	wantStatus(t, r.requestPhone("register", body), http.StatusOK)
	if p.spent() != 1 || r.box.count() != 1 {
		t.Errorf("%d messages are sent, %d paid for", r.box.count(), p.spent())
	}
}

// TestGate_AFailedReleaseIsReported, and the round goes on.
func TestGate_AFailedReleaseIsReported(t *testing.T) {
	broken := &brokenStore{}
	r := gated(t, options{service: func(c *verification.Config) {
		broken.Store = c.Store
		c.Store = broken
	}}, GateCompleted, steps)
	broken.err = errors.New("disk is gone")
	wantStatus(t, r.do("POST", "/_matrix/client/v3/register", `{"username":"bob","password":"pw"}`), http.StatusUnauthorized)
	if e := r.events.list[0]; e.Face != "client" || e.Endpoint != "release" || e.Purpose != verification.Register || e.Outcome != "unknown" || e.Status != 500 || !errors.Is(e.Err, broken.err) {
		t.Errorf("reported was %+v", e)
	}
	wantError(t, r.signUp("s"), http.StatusInternalServerError, "M_UNKNOWN")
	r.wantMails(0)
}
