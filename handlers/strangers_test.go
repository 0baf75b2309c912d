// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// besieged is a rig with the limits that there are unless told otherwise, whose clients
// say who they are, and where the homeserver is asked.
func besieged(t *testing.T) *rig {
	return newRig(t, options{
		config: func(c *Config) {
			byHeader(c)
			callback.config(c)
		},
		service: func(c *verification.Config) { c.Preset = ratelimit.Presets[ratelimit.Community] },
	})
}

const addToken = "/_matrix/client/v3/account/3pid/email/requestToken"

func (r *rig) asks(path, client, secret, email string, header ...string) int {
	body := fmt.Sprintf(`{"client_secret":%q,"email":%q,"send_attempt":1}`, secret, email)
	return r.do("POST", path, body, append([]string{"X-Client", client}, header...)...).Code
}

// usedUp has strangers ask for all that they may have sent to a mailbox.
func (r *rig) usedUp(email string) {
	for i := range 8 {
		r.asks(registerToken, fmt.Sprintf("2001:db8:%x::1", i), fmt.Sprint("stranger", i), email)
	}
}

// TestALastMailIsForWhoIsLoggedIn: with an account, and not as a guest; and there is one.
func TestALastMailIsForWhoIsLoggedIn(t *testing.T) {
	r := besieged(t)
	r.hs.AddUser("member", "pw")
	token := r.login("member", "pw")
	r.usedUp("second@x.org")
	if got := r.asks(addToken, "198.51.100.1", "s", "second@x.org", "Authorization", "Bearer "+token); got != http.StatusOK {
		t.Errorf("who is logged in gets %d", got)
	}
	for i := range 24 {
		r.asks(addToken, fmt.Sprintf("10.%d.0.1", i), fmt.Sprint("t", i), "second@x.org", "Authorization", "Bearer "+token)
		r.clock.Advance(50 * time.Minute)
	}
	if got := r.box.count(); got > 6 {
		t.Errorf("%d mails within a day, want the five, and the first of the next", got)
	}
}

func TestAGuestIsAStranger(t *testing.T) {
	r := besieged(t)
	plain := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if !strings.HasSuffix(req.URL.Path, "/whoami") {
			return plain(w, req)
		}
		w.Header().Set("Content-Type", "application/json")
		_, err := fmt.Fprint(w, `{"user_id":"@17:example.org","is_guest":true}`)
		return err
	}
	r.usedUp("second@x.org")
	if got := r.asks(addToken, "198.51.100.1", "s", "second@x.org", "Authorization", "Bearer guest"); got != http.StatusTooManyRequests {
		t.Errorf("a guest gets %d, want 429", got)
	}
}

// TestMadeUpTokensAreGuesses: the homeserver is not asked about each.
func TestMadeUpTokensAreGuesses(t *testing.T) {
	r := besieged(t)
	for i := range 200 {
		r.asks(addToken, "192.0.2.1", fmt.Sprint("s", i), "victim@x.org", "Authorization", fmt.Sprint("Bearer made", i))
	}
	asked := 0
	for _, q := range r.hs.Requests() {
		if strings.Contains(q.Path, "whoami") {
			asked++
		}
	}
	if most := ratelimit.Presets[ratelimit.Community].Guesses.Burst; asked > most {
		t.Errorf("the homeserver was asked %d times, want at most %d", asked, most)
	}
}

// TestAHomeserverThatIsDownUsesNothingUp of what people may ask for.
func TestAHomeserverThatIsDownUsesNothingUp(t *testing.T) {
	r := besieged(t)
	r.hs.AddUser("alice", "pw", "owner@x.org")
	for i := range 12 {
		r.hs.FailNext(3, http.StatusBadGateway)
		if got := r.asks(resetByMail, "192.0.2.1", fmt.Sprint("s", i), "owner@x.org"); got != http.StatusBadGateway {
			t.Fatalf("request %d: got %d, want 502", i, got)
		}
		r.clock.Advance(31 * time.Minute)
	}
}

// TestVisitorsAreOneForEachNetwork, and bounded: nobody takes the places of others.
func TestVisitorsAreOneForEachNetwork(t *testing.T) {
	v, now := newVisitors(), time.Now()
	for i := range 3 * mostVisited {
		v.note(ratelimit.Network(fmt.Sprint(i)), now)
	}
	if len(v.seen) != mostVisited {
		t.Errorf("got %d, want %d", len(v.seen), mostVisited)
	}
	v.note("home", now)
	if !v.knows("home", now.Add(visitTime-1)) || v.knows("home", now.Add(visitTime)) || v.knows("elsewhere", now) {
		t.Error("known for another time than an hour, or from elsewhere")
	}
}

// TestWhoSeesTheirAddressesIsLoggedIn: matrix-js-sdk shows no token when it asks for the mail.
func TestWhoSeesTheirAddressesIsLoggedIn(t *testing.T) {
	r := besieged(t)
	r.hs.AddUser("member", "pw")
	token := r.login("member", "pw")
	r.usedUp("second@x.org")
	const home = "198.51.100.1"
	list := func(bearer string) {
		r.do("GET", "/_matrix/client/v3/account/3pid", "", "X-Client", home, "Authorization", "Bearer "+bearer)
	}
	list("made up")
	if got := r.asks(addToken, home, "s", "second@x.org"); got != http.StatusTooManyRequests {
		t.Errorf("who has seen nothing gets %d, want 429", got)
	}
	list(token)
	if got := r.asks(addToken, home, "s", "second@x.org"); got != http.StatusOK {
		t.Errorf("who has seen their addresses gets %d", got)
	}
}

// TestClassOfARequest: the homeserver's word makes an owner, but not of a number.
func TestClassOfARequest(t *testing.T) {
	for _, c := range []struct {
		r    verification.Request
		want ratelimit.Class
	}{
		{verification.Request{Purpose: threepid.Password, Granting: true, ThreePID: threepid.ThreePID{Medium: threepid.Email}}, ratelimit.Owner},
		{verification.Request{Purpose: threepid.Password, Granting: true, ThreePID: threepid.ThreePID{Medium: threepid.MSISDN}}, ratelimit.Newcomer},
		{verification.Request{Purpose: threepid.Password, ThreePID: threepid.ThreePID{Medium: threepid.Email}}, ratelimit.Newcomer},
		{verification.Request{Purpose: threepid.Add, LoggedIn: true}, ratelimit.Owner},
		{verification.Request{Purpose: threepid.Register, Begun: true}, ratelimit.Begun},
		{verification.Request{Purpose: threepid.Register, Granting: true}, ratelimit.Newcomer},
	} {
		if got := c.r.Class(); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.r, got, c.want)
		}
	}
}
