// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestOutcomesAreWhatTheClientGot: a metric that says otherwise hides what goes wrong.
func TestOutcomesAreWhatTheClientGot(t *testing.T) {
	cause := errors.New("disk is gone")
	for name, c := range map[string]struct {
		err     error
		outcome string
		status  int
		cause   error
		limit   ratelimit.Kind
	}{
		"nothing":                 {nil, "ok", 200, nil, ""},
		"a refusal of ours":       {wire.BadRequest(wire.CodeInvalidParam, "x"), "invalid_param", 400, nil, ""},
		"a fault of ours":         {cause, "unknown", 500, cause, ""},
		"the homeserver's":        {&wire.RefusalError{Answer: &wire.Answer{Status: 429}}, "upstream", 429, nil, ""},
		"a rule before it":        {&wire.UpstreamError{Status: 403, Err: cause}, "upstream", 403, nil, ""},
		"the last of such":        {&wire.UpstreamError{Status: 499, Err: cause}, "upstream", 499, nil, ""},
		"none is there":           {&wire.UpstreamError{Status: 500, Err: cause}, "unknown", 502, cause, ""},
		"a page about it":         {&rendered{wire.BadRequest(wire.CodeTokenIncorrect, "x")}, "token_incorrect", 400, nil, ""},
		"a limit":                 {&verification.LimitError{Limit: verification.LimitResend}, "limit_exceeded", 429, nil, verification.LimitResend},
		"a limit of somebody":     {&verification.LimitError{RetryAfter: time.Second}, "limit_exceeded", 429, nil, "other"},
		"all messages for now":    {&verification.LimitError{Limit: verification.LimitMessages}, "unknown", 503, nil, verification.LimitMessages},
		"a round of proving":      {&challenge{}, "unauthorized", 401, nil, ""},
		"a code with small signs": {&wire.MatrixError{Status: 418, Errcode: "TEAPOT"}, "teapot", 418, nil, ""},
	} {
		outcome, status, private := report.OutcomeOf(c.err)
		if outcome != c.outcome || status != c.status {
			t.Errorf("%s: got %s %d, want %s %d", name, outcome, status, c.outcome, c.status)
		}
		if c.limit == "" && !errors.Is(private, c.cause) {
			t.Errorf("%s: got cause %v, want %v", name, private, c.cause)
		}
		if got := report.LimitOf(c.err); got != c.limit {
			t.Errorf("%s: got limit %q, want %q", name, got, c.limit)
		}
	}
}

// wantEvent checks what was reported last.
func (r *rig) wantEvent(face, endpoint, outcome string, status int) {
	r.t.Helper()
	if len(r.events.list) == 0 {
		r.t.Fatalf("nothing was reported, want %s %s", face, endpoint)
	}
	got := r.events.list[len(r.events.list)-1]
	if got.Face != face || got.Endpoint != endpoint || got.Outcome != outcome || got.Status != status {
		r.t.Errorf("reported was %+v, want %s %s: %s %d", got, face, endpoint, outcome, status)
	}
	if got.Duration <= 0 {
		r.t.Errorf("%s took %s", endpoint, got.Duration)
	}
}

// TestTheHomeserversSideIsReported, by what each path is for; all that is none, and all
// who may not ask, look alike to them, and not to the operator.
func TestTheHomeserversSideIsReported(t *testing.T) {
	const unbound = "/_matrix/identity/v2/3pid/unbind"
	for _, c := range []struct {
		method, target, body, peer, endpoint, outcome string
		status                                        int
	}{
		{"POST", faceRequest, `{}`, "127.0.0.1:1", "validate", "missing_params", 400},
		{"POST", faceRequest, `{"client_secret":"x","email":"a@x.org"}`, "127.0.0.1:1", "validate", "forbidden", 403},
		{"POST", "/_matrix/identity/api/v1/validate/msisdn/requestToken", `{}`, "127.0.0.1:1", "validate", "threepid_medium_not_supported", 400},
		{"GET", faceValidated, "", "127.0.0.1:1", "validated", "ok", 200},
		{"POST", "/_matrix/identity/api/v1/3pid/unbind", "", "127.0.0.1:1", "unbind", "ok", 200},
		{"POST", unbound, "", "127.0.0.1:1", "unbind", "ok", 200},
		{"GET", unbound, "", "127.0.0.1:1", "unbind", "unrecognized", 405},
		{"GET", "/x", "", "127.0.0.1:1", "unknown", "unrecognized", 404},
		{"GET", "/_matrix/identity/api/v1/3pid/getValidated3pi%64", "", "127.0.0.1:1", "unknown", "unrecognized", 404},
		{"GET", faceValidated, "", "203.0.113.7:1", "outsider", "unrecognized", 404},
	} {
		r := newRig(t, options{})
		rec := r.ask(c.method, c.target, c.body, "application/json", c.peer)
		wantStatus(t, rec, c.status)
		r.wantEvent("identity", c.endpoint, c.outcome, c.status)
		if allow := rec.Header().Get("Allow"); (allow == http.MethodPost) != (c.status == 405) {
			t.Errorf("%s %s: got Allow %q", c.method, c.target, allow)
		}
	}
}
