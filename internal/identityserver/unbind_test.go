// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
)

func TestUnbindRequest(t *testing.T) {
	f := newFixture(t, nil)
	f.SetBinding("email", address, user)
	if err := f.client.Unbind(t.Context(), f.name, unbind); err != nil {
		t.Fatal(err)
	}
	if got := f.Lookup("email", address); got != "" {
		t.Errorf("still bound to %q", got)
	}
	requests := f.Requests()
	if len(requests) != 1 {
		t.Fatalf("got %d requests, want 1", len(requests))
	}
	r := requests[0]
	if r.Method != http.MethodPost || r.Path != "/_matrix/identity/v2/3pid/unbind" || r.Query != "" {
		t.Errorf("got %s %s?%s", r.Method, r.Path, r.Query)
	}
	if _, found := r.Header["Authorization"]; found {
		t.Errorf("got Authorization %q, want none: the session is the proof", r.Header["Authorization"])
	}
	want := fmt.Sprintf(`{"sid":"sid1","client_secret":%q,"mxid":%q,"threepid":{"medium":"email","address":%q}}`, secret, user, address)
	if !sameJSON(t, string(r.Body), want) {
		t.Errorf("body: got %s, want %s", r.Body, want)
	}
}

func TestUnbindRefusals(t *testing.T) {
	f := newFixture(t, nil)
	f.SetBinding("email", address, user)
	wrong := unbind
	wrong.ClientSecret = "guess"
	checkRefusal(t, f.client.Unbind(t.Context(), f.name, wrong), 403, "M_FORBIDDEN")
	wrong = unbind
	wrong.UserID = "@bob:example.org"
	checkRefusal(t, f.client.Unbind(t.Context(), f.name, wrong), 403, "M_FORBIDDEN")
	if got := f.Lookup("email", address); got != user {
		t.Errorf("bound to %q, want %q", got, user)
	}
}

// TestUnbindAnswers: 400, 404 and 501 without a Matrix error are a server that
// cannot unbind (MSC1915); everything else that is no answer is a failure.
func TestUnbindAnswers(t *testing.T) {
	const page, unknown = "<!DOCTYPE html><p>No", `{"errcode":"M_UNKNOWN","error":"no"}`
	const unrecognized = `{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}`
	f := newFixture(t, nil)
	tests := []struct {
		status  int
		text    string
		want    error  // nil: see refusal
		refusal string // errcode; "" with want nil: success
	}{
		{200, `{}`, nil, ""},
		{200, `{"more":1}`, nil, ""},
		{202, `{}`, nil, ""},
		{200, ``, ErrUnavailable, ""},
		{204, ``, ErrUnavailable, ""},
		{200, page, ErrUnavailable, ""},
		{200, `null`, ErrUnavailable, ""},
		{200, `[]`, ErrUnavailable, ""},

		{400, page, ErrUnsupported, ""},
		{404, page, ErrUnsupported, ""},
		{501, page, ErrUnsupported, ""},
		{404, ``, ErrUnsupported, ""},
		{404, `{"error":"no such page"}`, ErrUnsupported, ""},
		{404, `[]`, ErrUnsupported, ""},
		{404, unrecognized, ErrUnsupported, ""},
		{405, unrecognized, ErrUnsupported, ""},
		{400, unrecognized, ErrUnsupported, ""},

		{400, unknown, nil, "M_UNKNOWN"},
		{404, unknown, nil, "M_UNKNOWN"},
		{501, unknown, nil, "M_UNKNOWN"},
		{403, unrecognized, nil, "M_UNRECOGNIZED"},
		{500, `{"errcode":"M_UNKNOWN","error":""}`, nil, "M_UNKNOWN"},
		{401, `{"errcode":"M_NO_VALID_SESSION"}`, nil, "M_NO_VALID_SESSION"},

		{405, page, ErrUnavailable, ""},
		{401, page, ErrUnavailable, ""},
		{403, page, ErrUnavailable, ""},
		{500, page, ErrUnavailable, ""},
		{502, page, ErrUnavailable, ""},
		{503, ``, ErrUnavailable, ""},
		{500, `{}`, ErrUnavailable, ""},
		{403, `{"error":"no"}`, ErrUnavailable, ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d %.30s", tt.status, tt.text), func(t *testing.T) {
			f.AnswerNext(1, tt.status, "text/plain", tt.text)
			err := f.client.Unbind(t.Context(), f.name, unbind)
			switch {
			case tt.want != nil:
				checkOutcome(t, err, tt.want)
			case tt.refusal != "":
				checkRefusal(t, err, tt.status, tt.refusal)
			case err != nil:
				t.Errorf("got %v, want success", err)
			}
		})
	}
}

func TestUnbindName(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Outbound.Allow = nil })
	checkOutcome(t, f.client.Unbind(t.Context(), f.name, unbind), outbound.ErrForbiddenAddress)
	checkOutcome(t, f.client.Unbind(t.Context(), outbound.Name{}, unbind), outbound.ErrName)
	if got := f.Connections(); got != 0 {
		t.Errorf("got %d connections, want none", got)
	}
}
