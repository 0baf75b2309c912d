// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestRefusalsAreRelayed with the wait that their body tells, if it is one; what no
// client understands becomes something that they do.
func TestRefusalsAreRelayed(t *testing.T) {
	for _, c := range []struct{ body, header, want string }{
		{`{"errcode":"M_X"}`, "", ""},
		{`{"errcode":"M_X"}`, "9", "9"},
		{`{"errcode":"M_X","retry_after_ms":1500}`, "", "2"},
		{`{"errcode":"M_X","retry_after_ms":1500}`, "9", "9"},
		{`{"errcode":"M_X","retry_after_ms":1}`, "", "1"},
		{`{"errcode":"M_X","retry_after_ms":0}`, "", ""},
		{`{"errcode":"M_X","retry_after_ms":-1}`, "", ""},
		{`{"errcode":"M_X","retry_after_ms":86399999}`, "", "86400"},
		{`{"errcode":"M_X","retry_after_ms":86400000}`, "", ""},
		{`{"errcode":"M_X","retry_after_ms":1e300}`, "", ""},
		{`{"errcode":"M_X","retry_after_ms":"5"}`, "", ""},
		{`{"errcode":"M_X","retry_after_ms":null}`, "", ""},
		{`{"errcode":""}`, "", "new"},
		{`{"Err":""}`, "", "new"},
		{`<html>`, "", "new"},
		{``, "", "new"},
		{`{"errcode":5}`, "", "new"},
	} {
		answer := &wire.Answer{Status: 418}
		_, _ = answer.Body.WriteString(c.body) // into memory
		if c.header != "" {
			answer.Header().Set("Retry-After", c.header)
		}
		rec := httptest.NewRecorder()
		wire.CopyRefusal(rec, answer)
		wantBody := c.body
		if c.want == "new" {
			c.want, wantBody = "", `{"errcode":"M_UNKNOWN","error":"The homeserver refused the request without a reason"}`
		}
		if got := rec.Header().Get("Retry-After"); rec.Code != 418 || rec.Body.String() != wantBody || got != c.want {
			t.Errorf("%s: got %d %s, Retry-After %q, want %q", c.body, rec.Code, rec.Body, got, c.want)
		}
	}
}

// TestWhatIsHidden: that an account has an address, or that none has, where there are
// decoys; all else is told.
func TestWhatIsHidden(t *testing.T) {
	const inUse, notFound = `{"errcode":"M_THREEPID_IN_USE"}`, `{"errcode":"M_THREEPID_NOT_FOUND"}`
	for _, c := range []struct {
		purpose verification.Purpose
		status  int
		body    string
		want    bool
	}{
		{verification.Register, 400, inUse, true},
		{verification.Add, 400, inUse, true},
		{verification.Password, 400, notFound, true},
		{verification.Register, 400, notFound, false},
		{verification.Password, 400, inUse, false},
		{verification.Add, 403, `{"errcode":"M_THREEPID_DENIED"}`, false},
		{verification.Register, 500, inUse, false},
		{verification.Register, 200, inUse, false},
		{verification.Register, 400, `<html>`, false},
	} {
		answer := &wire.Answer{Status: c.status}
		_, _ = answer.Body.WriteString(c.body) // into memory
		told := &Client{cfg: Config{Callback: true, Reveal: true}}
		if got := judging().hides(c.purpose, answer); got != c.want || told.hides(c.purpose, answer) {
			t.Errorf("%+v: got %v", c, got)
		}
	}
	for cfg, want := range map[[2]bool]bool{{true, false}: true, {true, true}: false, {false, false}: false} {
		if got := (&Config{Callback: cfg[0], Reveal: cfg[1]}).discreet(); got != want {
			t.Errorf("callback and reveal %v: got %v", cfg, got)
		}
	}
}

// TestTheHomeserverIsAskedInItsTerms: with the attempt of the client, and its refusal
// after it has called us is the answer all the same.
func TestTheHomeserverIsAskedInItsTerms(t *testing.T) {
	for status, refusal := range map[int]string{429: `{"errcode":"M_LIMIT_EXCEEDED","error":"x"}`, 500: `{"errcode":"M_UNKNOWN","error":"x"}`} {
		r := newRig(t, callback)
		legacy, asked := r.next, map[string]any{}
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			raw, err := wire.ReadBody(w, req, 1<<20)
			wire.SetBody(req, raw)
			return errors.Join(err, json.Unmarshal(raw, &asked), legacy(httptest.NewRecorder(), req), upstream(status, refusal)(w, req))
		}
		rec := r.do("POST", registerToken, strings.Replace(validToken, `"send_attempt":1`, `"send_attempt":7`, 1))
		if rec.Code != status || rec.Body.String() != refusal || r.box.count() != 1 {
			t.Errorf("got %d %s after %d messages, want the homeserver's refusal", rec.Code, rec.Body, r.box.count())
		}
		if asked["send_attempt"] != 7.0 || asked["id_server"] != "localhost:8443" || asked["email"] != "alice@homeserver.tld" {
			t.Errorf("the homeserver was asked %v", asked)
		}
	}
}

// TestARefusalToSayIsPassedOn: a homeserver that has been asked too often about the
// spellings of an address is not asked in earnest.
func TestARefusalToSayIsPassedOn(t *testing.T) {
	asked := 0
	r := newRig(t, options{config: callback.config, next: func(w http.ResponseWriter, req *http.Request) error {
		asked++
		return upstream(429, `{"errcode":"M_LIMIT_EXCEEDED","error":"x","retry_after_ms":2000}`)(w, req)
	}})
	rec := r.do("POST", registerToken, emailBody("s", "me@bücher.example"))
	if wantError(t, rec, http.StatusTooManyRequests, "M_LIMIT_EXCEEDED"); asked != 1 || rec.Header().Get("Retry-After") != "2" {
		t.Errorf("the homeserver was asked %d times, and the client told %v", asked, rec.Header())
	}
	r.next = upstream(500, `{}`)
	wantError(t, r.do("POST", registerToken, emailBody("s", "me@bücher.example")), http.StatusBadGateway, "M_UNKNOWN")
}

// everyFault makes a request on a new rig for each store operation that it takes, with
// that one failing.
func everyFault(t *testing.T, opts options, prepare func(r *rig), test func(r *rig, broke string) *httptest.ResponseRecorder) {
	t.Helper()
	failed := 0
	for n, met := 1, true; met; n++ {
		disk := &storetest.Breaking{Err: errDisk}
		opts.service = func(c *verification.Config) { disk.Store, c.Store = c.Store, disk }
		r := newRig(t, opts)
		prepare(r)
		disk.Arm(n)
		rec := test(r, fmt.Sprint("operation ", n))
		if met = disk.Broke() != ""; met && rec.Code >= 500 {
			failed++
		}
	}
	if failed == 0 {
		t.Error("no fault was met")
	}
}

// TestNoFaultTellsWhoHasAnAddress: whichever operation fails, what the homeserver says of
// an address is not what the client is told.
func TestNoFaultTellsWhoHasAnAddress(t *testing.T) {
	everyFault(t, callback, func(r *rig) { r.hs.AddUser("alice", "old", "alice@x.org") }, func(r *rig, broke string) *httptest.ResponseRecorder {
		rec := r.do("POST", registerToken, emailBody("s", "alice@x.org"))
		if granted := rec.Code == http.StatusOK; granted != (sidIn(rec) != "") || !granted && rec.Code != http.StatusInternalServerError {
			t.Errorf("%s: got %d %s", broke, rec.Code, rec.Body)
		}
		return rec
	})
}

// TestASessionOfTheHomeserversIsAdoptedOrRefused: a client that is given one can complete
// with it.
func TestASessionOfTheHomeserversIsAdoptedOrRefused(t *testing.T) {
	local := options{config: callback.config, hs: func(o *fakehs.Options) { o.ResetMode = fakehs.ResetLocal }}
	everyFault(t, local, func(r *rig) { r.hs.AddUser("alice", "old", "alice@x.org") }, func(r *rig, broke string) *httptest.ResponseRecorder {
		rec := r.do("POST", "/_matrix/client/r0/account/password/email/requestToken", emailBody("s", "alice@x.org"))
		if sid := sidIn(rec); rec.Code == http.StatusOK {
			done := r.reset(resetBody(sid, "s"))
			nonce, _, _ := mustObject(t, r.hs.Requests()[0].Body).Text("client_secret")
			if got := bodies(r.hs.Requests()[1:]); done.Code < 500 && !strings.Contains(got, nonce) {
				t.Errorf("%s: the homeserver does not know what it is shown: %s", broke, got)
			}
		} else if rec.Code != http.StatusInternalServerError {
			t.Errorf("%s: got %d %s", broke, rec.Code, rec.Body)
		}
		return rec
	})
}

// TestAnAdoptedSessionIsNotLostOnAFault: while it cannot be looked up, nothing is passed
// on that the homeserver could not know.
func TestAnAdoptedSessionIsNotLostOnAFault(t *testing.T) {
	local := options{config: callback.config, hs: func(o *fakehs.Options) { o.ResetMode = fakehs.ResetLocal }}
	sid := ""
	everyFault(t, local, func(r *rig) {
		r.hs.AddUser("alice", "old", "alice@x.org")
		sid = r.request("account/password", "s", "alice@x.org")
	}, func(r *rig, broke string) *httptest.ResponseRecorder {
		rec := r.reset(resetBody(sid, "s"))
		for _, req := range r.hs.Requests()[1:] {
			if strings.Contains(string(req.Body), `"client_secret":"s"`) {
				t.Errorf("%s: the homeserver saw %s", broke, req.Body)
			}
		}
		return rec
	})
}

// TestNumbersNeedNoRelay: whether mail can be carried to a number is no question.
func TestNumbersNeedNoRelay(t *testing.T) {
	r, _ := phoneRig(t, options{config: func(c *Config) {
		c.Emails = rules{cannotCarry: func(context.Context, string) bool { return true }}
	}})
	wantStatus(t, r.requestPhone("register", phoneBody("s", "GB", "07400 123456", 1)), http.StatusOK)
}

// TestWhatWasNotSentIsNotPaid: a queue that takes nothing sends nothing, and that is known.
func TestWhatWasNotSentIsNotPaid(t *testing.T) {
	for _, opts := range []options{{}, revealing} {
		opts.service = func(c *verification.Config) { c.Outbox = fullQueue{&heldOutbox{}} }
		r, p := phoneRig(t, opts)
		wantError(t, r.requestPhone("register", phoneBody("s", "GB", "07400 123456", 1)), http.StatusServiceUnavailable, "M_UNKNOWN")
		if len(p.paid) != 1 || p.spent() != 0 {
			t.Errorf("%d messages are paid for, of %d", p.spent(), len(p.paid))
		}
	}
}
