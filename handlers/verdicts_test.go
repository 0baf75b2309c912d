// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestVerdicts: what becomes of each error, and whose fault it is said to be.
func TestVerdicts(t *testing.T) {
	const full = "The server has sent as many messages as it may for now. Please try again later."
	own := wire.BadRequest("M_X", "x")
	limit := func(kind ratelimit.Kind) *verification.LimitError {
		return &verification.LimitError{Limit: kind, RetryAfter: time.Minute}
	}
	disk, gone, far := errors.New("disk"), fmt.Errorf("write: %w", context.Canceled), &wire.UpstreamError{Status: 504, Err: wire.ErrNoAnswer}
	messages, held, client := limit(verification.LimitMessages), limit(verification.LimitHeld), limit(verification.LimitClient)
	for _, c := range []struct {
		err  error
		want wire.MatrixError
	}{
		{fmt.Errorf("wrapped: %w", own), *own},
		{messages, wire.MatrixError{Status: 503, Errcode: "M_UNKNOWN", Message: full, Say: wire.SayBusy, RetryAfter: time.Minute, Err: messages}},
		{held, wire.MatrixError{Status: 503, Errcode: "M_UNKNOWN", Message: full, Say: wire.SayBusy, RetryAfter: time.Minute, Err: held}},
		{client, wire.MatrixError{Status: 429, Errcode: "M_LIMIT_EXCEEDED", Message: "Too many requests", Say: wire.SayLimit, RetryAfter: time.Minute, Err: client}},
		{gone, wire.MatrixError{Status: 499, Errcode: "M_UNKNOWN", Message: "Client closed the connection", Err: gone}},
		{store.ErrClosed, wire.MatrixError{Status: 503, Errcode: "M_UNKNOWN", Message: "The server is not ready. Please try again later.", RetryAfter: 5 * time.Second, Err: store.ErrClosed}},
		{far, wire.MatrixError{Status: 504, Errcode: "M_UNKNOWN", Message: "The homeserver cannot be reached. Please try again later.", Say: wire.SayFault, Err: far}},
		{verification.ErrTooManyBindings, wire.MatrixError{Status: 403, Errcode: "M_FORBIDDEN", Message: "There are too many bindings of this account; unbind some first"}},
		{busy{}, wire.MatrixError{Status: 503, Errcode: "M_UNKNOWN", Message: "The server cannot send messages at the moment. Please try again later.", Say: wire.SayBusy, RetryAfter: 6500 * time.Millisecond, Err: busy{}}},
		{disk, wire.MatrixError{Status: 500, Errcode: "M_UNKNOWN", Message: "Internal server error", Say: wire.SayFault, Err: disk}},
	} {
		if got := wire.ErrorOf(c.err); !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%v: got %+v, want %+v", c.err, *got, c.want)
		}
	}
	if got, want := wire.Internal(disk).Error(), "500 M_UNKNOWN: disk"; got != want || !errors.Is(wire.Internal(disk), disk) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := own.Error(), "400 M_X: x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := (&wire.RefusalError{Answer: &wire.Answer{Status: 418}}).Error(), "relay an answer of 418"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestWaitsAreRoundedUp, in the body and in the header; whoever need not wait is told
// of none.
func TestWaitsAreRoundedUp(t *testing.T) {
	for wait, want := range map[time.Duration][2]string{
		0: {"", "0"}, 1: {"1", "1"}, time.Millisecond: {"1", "1"}, time.Second: {"1", "1000"}, time.Second + 1: {"2", "1001"}, 90 * time.Second: {"90", "90000"},
	} {
		rec, e := httptest.NewRecorder(), &wire.MatrixError{Status: 429, Errcode: "M_X", Message: "x", RetryAfter: wait}
		wire.WriteError(rec, e, e.Body())
		if got := rec.Header().Get("Retry-After"); got != want[0] || fmt.Sprint(e.Body().RetryAfterMS) != want[1] {
			t.Errorf("%v: got Retry-After %q and %d ms, want %q", wait, got, e.Body().RetryAfterMS, want)
		}
		_, there := decoded(t, rec)["retry_after_ms"]
		if there != (wait > 0) || rec.Header().Get("Cache-Control") != "no-store" || rec.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%v: got %v %s", wait, rec.Header(), rec.Body)
		}
	}
}

// TestWhatIsALimit, and which of them tells nothing about who has an address, since the
// homeserver was not asked.
func TestWhatIsALimit(t *testing.T) {
	for _, c := range []struct {
		err         error
		wait, early bool
	}{
		{nil, false, false},
		{errDisk, false, false},
		{busy{}, true, false},
		{fmt.Errorf("x: %w", busy{}), true, false},
		{&verification.LimitError{}, true, false},
		{&verification.LimitError{Limit: report.UnknownLimit}, true, false},
		{fmt.Errorf("x: %w", &verification.LimitError{Limit: verification.LimitClient}), true, true},
	} {
		if wire.MustWait(c.err) != c.wait || early(c.err) != c.early {
			t.Errorf("%v: got %v, %v, want %v, %v", c.err, wire.MustWait(c.err), early(c.err), c.wait, c.early)
		}
	}
}

// TestEveryAnswerIsReported, with all that is known of it and nothing more.
func TestEveryAnswerIsReported(t *testing.T) {
	const reset = "/_matrix/client/r0/account/password"
	synctest.Test(t, func(t *testing.T) {
		disk := &storetest.Breaking{Err: errDisk}
		r := newRig(t, options{service: func(c *verification.Config) { disk.Store, c.Store = c.Store, disk }})
		proof := resetBody(r.validated("account/password", "s", "alice@x.org"), "s")
		for _, c := range []struct {
			method, path, body string
			next               wire.Next
			want               report.Event
		}{
			{"POST", registerToken, validToken, nil, report.Event{Endpoint: "request_token", Purpose: "register", Medium: "email", Outcome: "ok", Status: 200}},
			{"POST", registerToken, `{`, nil, report.Event{Endpoint: "request_token", Purpose: "register", Medium: "email", Outcome: "not_json", Status: 400}},
			{"POST", registerToken + "/", `{}`, nil, report.Event{Endpoint: "suspicious_path", Outcome: "unrecognized", Status: 404}},
			{"POST", reset + "?a;b", `{}`, nil, report.Event{Endpoint: "complete", Purpose: "password", Outcome: "invalid_param", Status: 400}},
			{"POST", reset, proof, upstream(400, `{"errcode":"M_X"}`), report.Event{Endpoint: "complete", Purpose: "password", Outcome: "upstream", Status: 400}},
			{"POST", reset, proof, upstream(399, `{}`), report.Event{Endpoint: "complete", Purpose: "password", Outcome: "ok", Status: 399}},
			{"POST", elsewhere, `{"auth":1,"Auth":2}`, nil, report.Event{Endpoint: "uia", Outcome: "bad_json", Status: 400}},
			{"POST", registerToken, validToken, nil, report.Event{Endpoint: "request_token", Purpose: "register", Medium: "email", Outcome: "unknown", Status: 500, Err: errDisk}},
		} {
			r.events.list = nil
			if disk.Arm(0); c.want.Err != nil {
				disk.Arm(1)
			}
			if c.next != nil {
				c.want.Duration = 2 * time.Second
			}
			r.next = func(w http.ResponseWriter, req *http.Request) error {
				time.Sleep(2 * time.Second)
				return c.next(w, req)
			}
			r.clock.Advance(verification.DefaultInFlight)
			wantStatus(t, r.do(c.method, c.path, c.body), c.want.Status)
			c.want.Face = "client"
			if got := r.events.list; len(got) != 1 || got[0].Err != nil != (c.want.Err != nil) || c.want.Err != nil && !errors.Is(got[0].Err, c.want.Err) {
				t.Errorf("%s: got %+v, want one", c.path, got)
			} else if got[0].Err = c.want.Err; got[0] != c.want {
				t.Errorf("%s %s: got %+v, want %+v", c.path, c.body, got[0], c.want)
			}
		}
	})
}

// TestARuleOfTheAdministratorsIsNotOurs: what stands between us and the homeserver may
// refuse a request, and then it is the server who answers.
func TestARuleOfTheAdministratorsIsNotOurs(t *testing.T) {
	for status, ours := range map[int]bool{403: false, 413: false, 499: false, 500: true, 502: true} {
		for _, path := range []string{"/_matrix/client/r0/account/password", elsewhere} {
			r := newRig(t, options{})
			sid := r.validated("account/password", "s", "alice@x.org")
			rule := &wire.UpstreamError{Status: status, Err: wire.ErrNoAnswer}
			req, rec := httptest.NewRequest("POST", path, strings.NewReader(resetBody(sid, "s"))), httptest.NewRecorder()
			err := r.client.ServeHTTP(rec, req, func(http.ResponseWriter, *http.Request) error { return rule })
			event := r.events.list[len(r.events.list)-1]
			if ours && (err != nil || rec.Code != 502) || !ours && (!errors.Is(err, rule) || rec.Body.Len() > 0 || event.Outcome != "upstream" || event.Status != status) {
				t.Errorf("%s, %d: got %v and %d %s, reported as %+v", path, status, err, rec.Code, rec.Body, event)
			}
		}
	}
}

// TestOurs is what a handler before us must not take for its own.
func TestOurs(t *testing.T) {
	cfg := Config{Prefixes: DefaultPrefixes}
	identity := Config{Prefixes: DefaultPrefixes, IdentitySubmit: true}
	for path, want := range map[string][2]bool{
		"/_matrix/client/r0/register": {true, true}, "/_matrix/client/r0/register/": {true, true}, "/_matrix/client/r0/%72egister": {true, true}, "/_threepid/x": {true, true},
		"/_matrix/client/r0/sync": {false, false}, "/": {false, false}, "/_threepid": {false, false}, "/other/r0/register": {false, false},
		"/_matrix/identity/api/v1/validate/email/submitToken": {false, true},
	} {
		u := mustRequest(t, "GET", path).URL
		if got := [2]bool{Ours(cfg, u), Ours(identity, u)}; got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}
