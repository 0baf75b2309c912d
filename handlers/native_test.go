// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// native is a rig whose homeserver mails its own resets, and how many requests it
// has seen.
func native(t *testing.T, limits func(*verification.Config)) (r *rig, seen *int) {
	t.Helper()
	seen = new(int)
	r = newRig(t, options{
		config:  func(c *Config) { byHeader(c); c.NativeReset = true },
		service: limits,
		next: func(w http.ResponseWriter, req *http.Request) error {
			*seen++
			w.Header().Set("Content-Type", "application/json")
			_, err := fmt.Fprint(w, `{"sid":"theirs"}`)
			return err
		},
	})
	return r, seen
}

const (
	resetByMail  = "/_matrix/client/r0/account/password/email/requestToken"
	resetByPhone = "/_matrix/client/r0/account/password/msisdn/requestToken"
)

// TestF21_NativeResetsAreLimited: the homeserver's own mails bother people as ours
// do, by the same limits.
func TestF21_NativeResetsAreLimited(t *testing.T) {
	one := ratelimit.Limit{Burst: 1, Per: time.Hour}
	mail := func(to string) string { return `{"client_secret":"s","send_attempt":1,"email":"` + to + `"}` }
	call := func(country, number string) string {
		return `{"client_secret":"s","send_attempt":1,"country":"` + country + `","phone_number":"` + number + `"}`
	}
	type request struct{ path, body, client string }
	for _, c := range []struct {
		name               string
		limits             func(*verification.Config)
		first, same, other request
	}{
		{
			"client", func(c *verification.Config) { c.Client = one },
			request{resetByMail, mail("a@x.org"), "2001:db8::1"},
			request{resetByMail, mail("b@y.org"), "2001:db8::2"},
			request{resetByMail, mail("b@y.org"), "2001:db8:1::1"},
		},
		{
			"mailbox", func(c *verification.Config) { c.PerAddress = one },
			request{resetByMail, mail("a.b@gmail.com"), ""},
			request{resetByMail, mail("AB+x@googlemail.com"), ""},
			request{resetByMail, mail("c@gmail.com"), ""},
		},
		{
			"domain", func(c *verification.Config) { c.Domain = one },
			request{resetByMail, mail("a@x.example.co.uk"), ""},
			request{resetByMail, mail("b@y.EXAMPLE.co.uk"), ""},
			request{resetByMail, mail("a@example2.co.uk"), ""},
		},
		{
			"number", func(c *verification.Config) { c.PerAddress = one },
			request{resetByPhone, call("GB", "07400 123456"), ""},
			request{resetByPhone, call("FR", "+44 7400 123456"), ""},
			request{resetByPhone, call("GB", "07400 123457"), ""},
		},
		{
			"no address that we know", func(c *verification.Config) { c.PerAddress = one },
			request{resetByMail, mail("Nobody"), ""},
			request{resetByMail, mail("nobody "), ""},
			request{resetByMail, mail("other"), ""},
		},
		{
			"no number that we know", func(c *verification.Config) { c.PerAddress = one },
			request{resetByPhone, call("GB", "12-3"), ""},
			request{resetByPhone, call("gb", "1 23"), ""},
			request{resetByPhone, call("GB", "124"), ""},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, seen := native(t, c.limits)
			ask := func(q request) int {
				rec := r.do("POST", q.path, q.body, "X-Client", q.client)
				if rec.Code != http.StatusOK {
					wantError(t, rec, http.StatusTooManyRequests, "M_LIMIT_EXCEEDED")
				}
				return rec.Code
			}
			for i, got := range []int{ask(c.first), ask(c.same), ask(c.same), ask(c.other)} {
				if want := []int{200, 429, 429, 200}[i]; got != want {
					t.Errorf("request %d: got %d, want %d", i, got, want)
				}
			}
			if *seen != 2 {
				t.Errorf("got %d requests at the homeserver, want 2", *seen)
			}
			r.clock.Advance(time.Hour)
			if got := ask(c.same); got != http.StatusOK {
				t.Errorf("got %d after the time of the limit, want 200", got)
			}
		})
	}
}

// TestNativeResetsAreReadInOneWay: an address that we cannot tell cannot be counted.
func TestNativeResetsAreReadInOneWay(t *testing.T) {
	for _, body := range []string{
		``, `no JSON`, `[]`, `{"email":"a@x.org","email":"b@x.org"}`, `{"client_secret":"s"}`, `{"email":1}`, `{"email":null}`,
	} {
		r, seen := native(t, nil)
		if rec := r.do("POST", resetByMail, body); rec.Code != http.StatusBadRequest || *seen != 0 {
			t.Errorf("%q: got %d and %d requests at the homeserver, want 400 and none", body, rec.Code, *seen)
		}
	}
}

// TestNativeResetsGoOnAsTheyCame, but for what homeservers of then stumble over.
func TestNativeResetsGoOnAsTheyCame(t *testing.T) {
	r, _ := native(t, nil)
	var got string
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		raw, err := wire.ReadBody(w, req, 1<<10)
		got = string(raw)
		w.WriteHeader(http.StatusOK)
		return err
	}
	const body = `{"client_secret":"s", "send_attempt":"1","email":"a@x.org","more":[1.0]}`
	wantStatus(t, r.do("POST", resetByMail, body), http.StatusOK)
	if got != body {
		t.Errorf("got %s, want it as it came: %s", got, body)
	}
	// Homeservers of then keep addresses in lower case, and compare them as they come.
	wantStatus(t, r.do("POST", resetByMail, `{"email":"A@X.org","client_secret":"s","more":[1.0]}`), http.StatusOK)
	if !strings.Contains(got, `"a@x.org"`) || !strings.Contains(got, `[1.0]`) {
		t.Errorf("got %s, want the address in lower case, and the rest", got)
	}
	const none = `{"email":"Nobody",  "client_secret":"s"}` // not an address: the homeserver's to say
	if wantStatus(t, r.do("POST", resetByMail, none), http.StatusOK); got != none {
		t.Errorf("got %s, want it as it came: %s", got, none)
	}
	wantStatus(t, r.do("POST", resetByMail, `{"email":"a@x.org","id_access_token":"x"}`), http.StatusOK)
	if strings.Contains(got, "id_access_token") || !strings.Contains(got, `"a@x.org"`) {
		t.Errorf("got %s, want all but the token", got)
	}
}
