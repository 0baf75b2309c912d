// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// byHeader takes a client's address from a header, as a test can set it.
func byHeader(c *Config) {
	audienceOf(c).addr = func(r *http.Request) netip.Addr {
		addr, err := netip.ParseAddr(r.Header.Get("X-Client"))
		if err != nil {
			return netip.Addr{}
		}
		return addr
	}
}

// refusals are the limits that events name.
func (e *events) refusals() []ratelimit.Kind {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []ratelimit.Kind
	for _, ev := range e.list {
		if ev.Limit != "" {
			out = append(out, ev.Limit)
		}
	}
	return out
}

// TestF21_ClientLimit: in body, header, CORS and events.
func TestF21_ClientLimit(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		before := opts.config
		opts.config = func(c *Config) {
			if before != nil {
				before(c)
			}
			byHeader(c)
		}
		opts.service = func(c *verification.Config) { c.Client = ratelimit.Limit{Burst: 2, Per: 4999 * time.Millisecond} }
		r := newRig(t, opts)
		ask := func(client string, i int) (int, http.Header, map[string]any) {
			rec := r.do("POST", registerToken, fmt.Sprintf(`{"client_secret":"s%d","email":"a%d@x.org","send_attempt":1}`, i, i), "X-Client", client)
			if rec.Code != http.StatusOK {
				wantError(t, rec, http.StatusTooManyRequests, "M_LIMIT_EXCEEDED")
			}
			return rec.Code, rec.Header(), decoded(t, rec)
		}
		for range 50 { // these ask for nothing
			wantStatus(t, r.do("OPTIONS", registerToken, "", "X-Client", "2001:db8::1"), http.StatusNoContent)
			wantError(t, r.do("POST", registerToken, `{}`, "X-Client", "2001:db8::1"), http.StatusBadRequest, "M_MISSING_PARAM")
		}
		for i := range 2 {
			if got, _, _ := ask("2001:db8::1", i); got != http.StatusOK {
				t.Fatalf("request %d: got %d, want 200", i, got)
			}
		}
		status, header, body := ask("2001:db8::ffff", 3)
		if status != http.StatusTooManyRequests || body["retry_after_ms"] != 2500.0 || header.Get("Retry-After") != "3" {
			t.Errorf("got %d %v, Retry-After %q, want 429, rounded up: 2500 and 3", status, body, header.Get("Retry-After"))
		}
		if got, _, _ := ask("2001:db8:0:1::1", 4); got != http.StatusOK {
			t.Errorf("got %d for another network, want 200", got)
		}
		if got := r.events.refusals(); len(got) != 1 || got[0] != verification.LimitClient {
			t.Errorf("got refusals %v in events, want one by the client's limit", got)
		}
		r.clock.Advance(2500 * time.Millisecond)
		if got, _, _ := ask("2001:db8::1", 5); got != http.StatusOK {
			t.Errorf("got %d after the wait that was told, want 200", got)
		}
	})
}

// TestF21_OtherSubjects: by the token that is sent, whether or not it is one,
// and by the registration that is named.
func TestF21_OtherSubjects(t *testing.T) {
	one := ratelimit.Limit{Burst: 1, Per: time.Hour}
	r := newRig(t, options{
		config:  func(c *Config) { c.NextLinkOrigins = []string{"https://app.example.org"} },
		service: func(c *verification.Config) { c.User, c.UIA = one, one },
	})
	n := 0
	ask := func(purpose, more string, header ...string) int {
		n++
		return r.do("POST", "/_matrix/client/r0/"+purpose+"/email/requestToken",
			fmt.Sprintf(`{"client_secret":"s%d","email":"a%d@x.org","send_attempt":1%s}`, n, n, more), header...).Code
	}
	link := func(id string) string {
		return `,"next_link":"https://app.example.org/#/register?session_id=` + r.registrationName(id) + `"`
	}
	for _, c := range []struct {
		purpose, more string
		header        []string
		want          int
	}{
		{"account/3pid", "", []string{"Authorization", "Bearer one"}, 200},
		{"account/3pid", "", []string{"Authorization", "Bearer one"}, 429},
		{"account/3pid", "", []string{"Authorization", "Bearer two"}, 200},
		{"account/3pid", "", nil, 200},
		{"register", link("u1"), nil, 200},
		{"register", link("u1"), nil, 429},
		{"register", link("u2"), nil, 200},
		{"account/3pid", link("u1"), nil, 200}, // not one of registration
	} {
		if got := ask(c.purpose, c.more, c.header...); got != c.want {
			t.Errorf("%s %s %v: got %d, want %d", c.purpose, c.more, c.header, got, c.want)
		}
	}
	got := r.events.refusals()
	if len(got) != 2 || got[0] != verification.LimitUser || got[1] != verification.LimitUIA {
		t.Errorf("got refusals %v, want by user and by uia", got)
	}
}

// TestF21_DomainLimit: names below one registered domain are one.
func TestF21_DomainLimit(t *testing.T) {
	r := newRig(t, options{service: func(c *verification.Config) { c.Domain = ratelimit.Limit{Burst: 1, Per: time.Hour} }})
	for i, c := range []struct {
		email string
		want  int
	}{{"a@x.example.co.uk", 200}, {"b@y.example.co.uk", 429}, {"b@Y.EXAMPLE.co.uk", 429}, {"a@example2.co.uk", 200}} {
		rec := r.do("POST", registerToken, fmt.Sprintf(`{"client_secret":"s%d","email":"%s","send_attempt":1}`, i, c.email))
		if rec.Code != c.want {
			t.Errorf("%s: got %d, want %d", c.email, rec.Code, c.want)
		}
	}
}

// TestF21_BudgetIsNobodysFault: what the server may send in all is told as what
// it is, before the homeserver is asked.
func TestF21_BudgetIsNobodysFault(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		opts.service = func(c *verification.Config) { c.Messages = ratelimit.Limit{Burst: 1, Per: time.Hour} }
		before := opts.config
		opts.config = func(c *Config) {
			if c.Reveal = true; before != nil { // a decoy has a message as well
				before(c)
			}
		}
		r := newRig(t, opts)
		r.hs.AddUser("alice", "pw", "taken@x.org")
		for range 3 { // refused by the homeserver where it is asked: nothing is sent
			rec := r.do("POST", "/_matrix/client/r0/account/password/email/requestToken", `{"client_secret":"s","email":"nobody@x.org","send_attempt":1}`)
			if !r.client.cfg.Callback {
				break
			}
			wantError(t, rec, http.StatusBadRequest, "M_THREEPID_NOT_FOUND")
		}
		if r.client.cfg.Callback {
			wantStatus(t, r.signUp("a"), http.StatusOK)
		}
		rec := r.signUp("b")
		wantError(t, rec, http.StatusServiceUnavailable, "M_UNKNOWN")
		if got := rec.Header().Get("Retry-After"); got != "3600" {
			t.Errorf("got Retry-After %q, want 3600", got)
		}
		r.wantMails(1)
	})
}

// TestF21_WrongTokens: by a machine and on the page, over many sessions.
func TestF21_WrongTokens(t *testing.T) {
	r := newRig(t, options{
		config:  func(c *Config) { byHeader(c); c.Proof = verification.ProofCode },
		service: func(c *verification.Config) { c.Guesses = ratelimit.Limit{Burst: 2, Per: time.Hour} },
	})
	const client = "192.0.2.7"
	machine := func(i int, token string) (status int) {
		secret := fmt.Sprint("s", i)
		sid := r.request("register", secret, fmt.Sprintf("a%d@x.org", i))
		if token == "" {
			token = string(r.box.last(t).Token)
		}
		rec := r.do("POST", linkPath, `{"sid":"`+sid+`","client_secret":"`+secret+`","token":"`+token+`"}`, "X-Client", client)
		if rec.Code == http.StatusTooManyRequests {
			wantError(t, rec, http.StatusTooManyRequests, "M_LIMIT_EXCEEDED")
			if got := decoded(t, rec)["success"]; got != false {
				t.Errorf("got success %v, want false", got)
			}
		}
		return rec.Code
	}
	for i, c := range []struct {
		token string
		want  int
	}{{"", 200}, {"", 200}, {"", 200}, {"wrong", 400}, {"", 200}, {"wrong", 400}, {"wrong", 429}, {"", 429}} {
		if got := machine(i, c.token); got != c.want {
			t.Errorf("token %d: got %d, want %d", i, got, c.want)
		}
	}
	sid := r.request("register", "page", "page@x.org")
	page := r.typed(r.do("GET", linkQuery("sid", sid), ""), "000000", "X-Client", client)
	if page.Code != http.StatusTooManyRequests || page.Header().Get("Retry-After") != "1795" || !strings.Contains(page.Header().Get("Content-Type"), "text/html") {
		t.Errorf("got %d, Retry-After %q, want a page of 429 and 1795, as five seconds have passed", page.Code, page.Header().Get("Retry-After"))
	}
	other := r.typed(r.do("GET", linkQuery("sid", sid), ""), string(r.box.last(t).Token), "X-Client", "192.0.2.8")
	wantStatus(t, other, http.StatusOK)
}

// TestF21_ClientOfTheConnection: without anything better, the client is who has
// connected, whatever the request says.
func TestF21_ClientOfTheConnection(t *testing.T) {
	r := newRig(t, options{service: func(c *verification.Config) { c.Client = ratelimit.Limit{Burst: 1, Per: time.Hour} }})
	ask := func(i int, header ...string) int {
		return r.do("POST", registerToken, fmt.Sprintf(`{"client_secret":"s%d","email":"a@x.org","send_attempt":1}`, i), header...).Code
	}
	if got := ask(1); got != http.StatusOK {
		t.Fatalf("got %d, want 200", got)
	}
	if got := ask(2, "X-Forwarded-For", "203.0.113.9"); got != http.StatusTooManyRequests {
		t.Errorf("got %d, want 429", got)
	}
}

func TestF21_Registrable(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"a@example.org", "example.org"},
		{"a@b.c.example.org", "example.org"},
		{"a@mail.example.co.uk", "example.co.uk"},
		{"a@one.github.io", "one.github.io"}, // each is somebody else's
		{"a@xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"a@co.uk", "co.uk"},
		{"a@localhost", "localhost"},
	} {
		if got := Registrable(tt.in); got != tt.want {
			t.Errorf("Registrable(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
