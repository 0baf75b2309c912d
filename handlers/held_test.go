// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestGate_HeldRequestsCountLikeSentOnes: whoever begins registrations from fifteen
// networks and finishes none has a bound for all of them, and leaves most of what may
// be sent to others. Each of their networks, mailboxes and domains has its limit too.
func TestGate_HeldRequestsCountLikeSentOnes(t *testing.T) {
	hour := func(n int) ratelimit.Limit { return ratelimit.Limit{Burst: n, Per: time.Hour} }
	modes(t, func(t *testing.T, opts options) {
		before := opts.config
		opts.config = func(c *Config) {
			if before != nil {
				before(c)
			}
			byHeader(c)
		}
		opts.service = func(c *verification.Config) {
			c.PerAddress, c.Client, c.Domain, c.Messages = hour(10), hour(60), hour(20), hour(500)
		}
		r := gated(t, opts, GateCompleted, steps)
		answers := map[int]int{}
		ask := func(client, agent, email string) int {
			wantStatus(t, r.do("POST", "/_matrix/client/v3/register", `{}`, "X-Client", client, "User-Agent", agent), http.StatusUnauthorized)
			rec := r.do("POST", registerToken, fmt.Sprintf(`{"client_secret":%q,"email":%q,"send_attempt":1}`, "s"+agent, email), "X-Client", client, "User-Agent", agent)
			if rec.Code == http.StatusServiceUnavailable && rec.Header().Get("Retry-After") == "" {
				t.Error("got no Retry-After")
			}
			return rec.Code
		}
		for i := range 15 * 30 {
			answers[ask(fmt.Sprintf("10.1.%d.1", i%15), fmt.Sprint(i), fmt.Sprintf("a%d@x%d.org", i, i))]++
		}
		if got := answers[http.StatusOK]; got != 125 || answers[http.StatusServiceUnavailable] != 15*30-125 {
			t.Errorf("got answers %v, want 125 times 200, and 503", answers)
		}
		r.wantMails(0)
		r.hs.AddUser("alice", "pw", "alice@z.org")
		wantStatus(t, r.do("POST", resetByMail, `{"client_secret":"s","email":"alice@z.org","send_attempt":1}`, "X-Client", "198.51.100.1"), http.StatusOK)
		r.wantMails(1)

		r.clock.Advance(time.Hour)
		for _, c := range []struct {
			kind  ratelimit.Kind
			after int
			ask   func(i int) int
		}{
			{verification.LimitAddress, 10, func(i int) int { return ask(fmt.Sprintf("10.2.%d.1", i), fmt.Sprint("a", i), "same@x.org") }},
			{verification.LimitClient, 60, func(i int) int { return ask("203.0.113.1", fmt.Sprint("c", i), fmt.Sprintf("c%d@y%d.org", i, i)) }},
			{verification.LimitDomain, 15, func(i int) int {
				return ask(fmt.Sprintf("2001:db8:%x::1", i), fmt.Sprint("d", i), fmt.Sprintf("d%d@w.org", i))
			}},
		} {
			ok := 0
			for i := range c.after + 2 {
				if c.ask(i) == http.StatusOK {
					ok++
				}
			}
			if ok != c.after {
				t.Errorf("%s: got %d held, want %d", c.kind, ok, c.after)
			}
		}
	})
}
