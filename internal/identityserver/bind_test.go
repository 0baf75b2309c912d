// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakeis"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// TestR43_BindRequest: one request, to the server named, for the user named.
func TestR43_BindRequest(t *testing.T) {
	f, other := newFixture(t, nil), newFixture(t, nil)
	bound, err := f.client.Bind(t.Context(), f.name, token, bind)
	if want := (Bound{Medium: "email", Address: address}); err != nil || bound != want {
		t.Fatalf("got %v, %v, want %v", bound, err, want)
	}
	if got := f.Lookup("email", address); got != user {
		t.Errorf("bound to %q, want %q", got, user)
	}
	requests := f.Requests()
	if len(requests) != 1 || f.Connections() != 1 || other.Connections() != 0 {
		t.Fatalf("got %d requests on %d connections, and %d to another server", len(requests), f.Connections(), other.Connections())
	}
	if r := requests[0]; !sameJSON(t, string(r.Body), fmt.Sprintf(`{"sid":"sid1","client_secret":%q,"mxid":%q}`, secret, user)) {
		t.Errorf("body: got %s", r.Body)
	}
}

// TestF29_BindUsesV2WithBearerToken: the token travels in the header, nowhere else.
func TestF29_BindUsesV2WithBearerToken(t *testing.T) {
	f := newFixture(t, nil)
	if _, err := f.client.Bind(t.Context(), f.name, token, bind); err != nil {
		t.Fatal(err)
	}
	r := f.Requests()[0]
	if r.Method != http.MethodPost || r.Path != "/_matrix/identity/v2/3pid/bind" || r.Query != "" {
		t.Errorf("got %s %s?%s", r.Method, r.Path, r.Query)
	}
	if got, want := r.Header.Get("Authorization"), "Bearer "+token; got != want {
		t.Errorf("Authorization: got %q, want %q", got, want)
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type: got %q", got)
	}
	if strings.Contains(string(r.Body), token) {
		t.Error("the token is in the body")
	}
}

// TestF28_BindRelaysRefusals: status and object come through as they were.
func TestF28_BindRelaysRefusals(t *testing.T) {
	f := newFixture(t, nil)
	f.AddToken("is_token_of_bob", "@bob:example.org")
	tests := []struct {
		name    string
		prepare func()
		token   string
		bind    Bind
		status  int
		errcode string
	}{
		{"unknown token", nil, "is_token_of_nobody", bind, 401, "M_UNAUTHORIZED"},
		{"another user's token", nil, "is_token_of_bob", bind, 403, "M_UNAUTHORIZED"},
		{"unknown session", nil, token, Bind{SID: "sid2", ClientSecret: secret, UserID: user}, 404, "M_NO_VALID_SESSION"},
		{"wrong secret", nil, token, Bind{SID: "sid1", ClientSecret: "x", UserID: user}, 404, "M_NO_VALID_SESSION"},
		{"limited", func() { f.FailNext(1, 429, "M_LIMIT_EXCEEDED", "slow down") }, token, bind, 429, "M_LIMIT_EXCEEDED"},
		{"broken", func() { f.FailNext(1, 500, "M_UNKNOWN", "oops") }, token, bind, 500, "M_UNKNOWN"},
		{"edge", func() { f.FailNext(1, 599, "M_UNKNOWN", "oops") }, token, bind, 599, "M_UNKNOWN"},
		{"terms", func() { f.RequireTerms(true) }, token, bind, 403, "M_TERMS_NOT_SIGNED"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.prepare != nil {
				tt.prepare()
			}
			bound, err := f.client.Bind(t.Context(), f.name, threepid.IDAccessToken(tt.token), tt.bind)
			refusal := checkRefusal(t, err, tt.status, tt.errcode)
			if bound != (Bound{}) {
				t.Errorf("got %v beside the refusal", bound)
			}
			want := fmt.Sprintf(`{"errcode":%q,"error":%q}`, tt.errcode, refusal.Message)
			if refusal.Message == "" || !sameJSON(t, string(refusal.Body), want) {
				t.Errorf("body: got %s, want %s", refusal.Body, want)
			}
		})
	}
	if got := f.Lookup("email", address); got != "" {
		t.Errorf("bound to %q", got)
	}
}

// TestBindAnswers: a 2xx counts only with an association in it.
func TestBindAnswers(t *testing.T) {
	f := newFixture(t, nil)
	tests := []struct {
		name   string
		status int
		text   string
		want   Bound // zero: ErrUnavailable
	}{
		{"email", 200, `{"medium":"email","address":"a@b.example"}`, Bound{"email", "a@b.example"}},
		{"phone", 200, `{"medium":"msisdn","address":"447700900000","mxid":"@a:b","ts":1}`, Bound{"msisdn", "447700900000"}},
		{"created", 201, ` {"medium":"email","address":"ä@b.example"} `, Bound{"email", "ä@b.example"}},
		{"longest", 200, `{"medium":"email","address":"` + strings.Repeat("a", 255) + `"}`, Bound{"email", strings.Repeat("a", 255)}},

		{"nothing", 200, ``, Bound{}},
		{"no content", 204, ``, Bound{}},
		{"empty object", 200, `{}`, Bound{}},
		{"no medium", 200, `{"address":"a@b.example"}`, Bound{}},
		{"no address", 200, `{"medium":"email"}`, Bound{}},
		{"empty address", 200, `{"medium":"email","address":""}`, Bound{}},
		{"null address", 200, `{"medium":"email","address":null}`, Bound{}},
		{"number for an address", 200, `{"medium":"msisdn","address":447700900000}`, Bound{}},
		{"list for a medium", 200, `{"medium":["email"],"address":"a@b.example"}`, Bound{}},
		{"another medium", 200, `{"medium":"fax","address":"1"}`, Bound{}},
		{"medium in capitals", 200, `{"medium":"Email","address":"a@b.example"}`, Bound{}},
		{"keys in capitals", 200, `{"Medium":"email","Address":"a@b.example"}`, Bound{}},
		{"endless address", 200, `{"medium":"email","address":"` + strings.Repeat("a", 256) + `"}`, Bound{}},
		{"line break in the address", 200, `{"medium":"email","address":"a@b.example\nBcc: c"}`, Bound{}},
		{"direction override", 200, `{"medium":"email","address":"a@b.example\u202e"}`, Bound{}},
		{"broken characters", 200, "{\"medium\":\"email\",\"address\":\"a\xff@b.example\"}", Bound{}},
		{"half an object", 200, `{"medium":"email","address":"a@b.example"`, Bound{}},
		{"two objects", 200, `{"medium":"email","address":"a@b.example"}{}`, Bound{}},
		{"list", 200, `[{"medium":"email","address":"a@b.example"}]`, Bound{}},
		{"null", 200, `null`, Bound{}},
		{"string", 200, `"email"`, Bound{}},
		{"page", 200, `<!DOCTYPE html><p>Welcome`, Bound{}},
		{"an error for a success", 200, `{"errcode":"M_UNKNOWN","error":"no"}`, Bound{}},

		{"page not found", 404, `<!DOCTYPE html><p>Not Found`, Bound{}},
		{"bad gateway", 502, `<html>`, Bound{}},
		{"error without errcode", 400, `{"error":"no"}`, Bound{}},
		{"errcode of another type", 400, `{"errcode":400,"error":"no"}`, Bound{}},
		{"empty errcode", 400, `{"errcode":"","error":"no"}`, Bound{}},
		{"null errcode", 400, `{"errcode":null}`, Bound{}},
		{"list of errors", 400, `[{"errcode":"M_UNKNOWN"}]`, Bound{}},
		{"association with an error status", 500, `{"medium":"email","address":"a@b.example"}`, Bound{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.AnswerNext(1, tt.status, "application/json", tt.text)
			got, err := f.client.Bind(t.Context(), f.name, token, bind)
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if tt.want == (Bound{}) {
				checkOutcome(t, err, ErrUnavailable)
			} else if err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestBindToken: what cannot be a token is refused before anything is connected to.
func TestBindToken(t *testing.T) {
	f := newFixture(t, nil)
	for name, bad := range map[string]string{
		"empty": "", "space": "a b", "leading space": " a", "line feed": "a\nX-Evil: 1", "carriage return": "a\r\nX-Evil: 1",
		"null": "a\x00", "tab": "a\tb", "delete": "a\x7f", "not ASCII": "tökén", "broken": "a\xff", "no-break space": "a\u00a0b",
		"endless": strings.Repeat("a", 4097),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.client.Bind(t.Context(), f.name, threepid.IDAccessToken(bad), bind)
			checkOutcome(t, err, ErrToken)
			if len(bad) > 2 && strings.Contains(err.Error(), bad) {
				t.Errorf("the error %q contains the token", err)
			}
		})
	}
	if got := f.Connections(); got != 0 {
		t.Errorf("got %d connections, want none", got)
	}
	for _, good := range []string{"a", "syt_YWxpY2U_x-y.z~+/==", "!#$%&'()*,:;<>?@[]^`{|}", strings.Repeat("a", 4096)} {
		f.AddToken(good, user)
		if _, err := f.client.Bind(t.Context(), f.name, threepid.IDAccessToken(good), bind); err != nil {
			t.Errorf("%.30q: got %v", good, err)
		}
	}
}

// TestBindEscapes: values that would break out of JSON do not.
func TestBindEscapes(t *testing.T) {
	f := newFixture(t, nil)
	odd := Bind{SID: `1","mxid":"@evil:example.org`, ClientSecret: "a\"\\\n", UserID: user}
	f.AddSession(fakeis.Session{SID: string(odd.SID), ClientSecret: string(odd.ClientSecret), Medium: "email", Address: address})
	if _, err := f.client.Bind(t.Context(), f.name, token, odd); err != nil {
		t.Errorf("got %v", err)
	}
	if got := f.Lookup("email", address); got != user {
		t.Errorf("bound to %q, want %q", got, user)
	}
}

// TestBindName: forbidden addresses and no names at all are outcomes of their own.
func TestBindName(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Outbound.Allow = nil })
	_, err := f.client.Bind(t.Context(), f.name, token, bind)
	checkOutcome(t, err, outbound.ErrForbiddenAddress)
	if !strings.Contains(err.Error(), f.Name()) {
		t.Errorf("got %q, want the server named", err)
	}
	_, err = f.client.Bind(t.Context(), outbound.Name{}, token, bind)
	checkOutcome(t, err, outbound.ErrName)
	if got := f.Connections(); got != 0 {
		t.Errorf("got %d connections, want none", got)
	}
}
