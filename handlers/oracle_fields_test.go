// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// times repeats a move.
func times(n int, m move) []move { return slices.Repeat([]move{m}, n) }

// asking is a request; each has a client_secret of its own.
func asking(purpose string, secrets ...string) (moves []move) {
	for _, s := range secrets {
		moves = append(moves, move{Kind: "ask", Purpose: purpose, Medium: threepid.Email, Secret: s, Attempt: 1, Variant: 1})
	}
	return moves
}

func wait(d time.Duration) []move { return []move{{Kind: "wait", Wait: d}} }

func shift(w weather) []move { return []move{{Kind: "weather", Weather: w}} }

func on(kind string, nth int) []move { return []move{{Kind: kind, Nth: nth, Variant: 1}} }

// all looks at everything that there is about the first sessions.
func all(sessions int) (moves []move) {
	for n := range sessions {
		moves = append(moves, on("help", n)...)
		moves = append(moves, on("page", n)...)
		moves = append(moves, move{Kind: "page", Nth: n, Variant: 2})
		moves = append(moves, on("submit", n)...)
		moves = append(moves, on("form", n)...)
		for way := range 5 {
			moves = append(moves, move{Kind: "complete", Nth: n, Attempt: way, Variant: way % 2})
		}
	}
	return moves
}

func together(parts ...[]move) []move { return slices.Concat(parts...) }

// oracleFields are histories in which one thing differs that the requester must not
// see: what becomes of the second message of a day, of which a decoy has none.
var oracleFields = map[string]func(purpose string) []move{
	"delivery: the relay is up, then slow": func(p string) []move {
		return together(asking(p, "one"), wait(time.Second), shift(relaySlow), asking(p, "two"), on("watch", 0), all(2), wait(time.Minute), all(2))
	},
	"delivery: the relay is up, then down": func(p string) []move {
		return together(asking(p, "one"), wait(time.Second), shift(relayDown), asking(p, "two"), on("watch", 0), wait(20*time.Minute), all(2))
	},
	"delivery: the relay is up, then refuses": func(p string) []move {
		return together(asking(p, "one"), wait(time.Second), shift(relayRefusing), asking(p, "two"), on("watch", 0), all(2))
	},
	"delivery: the relay is jittery": func(p string) []move {
		return together(shift(relayJittery), asking(p, "one"), on("watch", 0), asking(p, "two"), on("watch", 0), asking(p, "three"), on("watch", 0))
	},
	"bounces": func(p string) []move {
		return together(asking(p, "one"), wait(time.Second), shift(relayBouncing), asking(p, "two"), on("watch", 0), wait(time.Hour), all(2), asking(p, "three"), all(3))
	},
	"complaints": func(p string) []move {
		return together(asking(p, "one"), wait(time.Second), shift(relayUnwanted), asking(p, "two"), on("watch", 0), wait(time.Hour), all(2), asking(p, "three"), all(3))
	},
	"refusal of the second message": func(p string) []move {
		return together(asking(p, "one", "two"), wait(time.Minute), on("reader refuses", 1), all(2), all(2), asking(p, "two"),
			[]move{{Kind: "ask", Purpose: p, Medium: threepid.Email, Secret: "two", Attempt: 3, Variant: 1}}, all(2))
	},
	"cool-down: new requests": func(p string) []move {
		return together(asking(p, "one", "two"), wait(time.Minute), on("reader refuses", 1), asking(p, "three"), wait(time.Minute), all(3), wait(12*time.Hour), asking(p, "three"), all(3))
	},
	"cool-down: its end": func(p string) []move {
		return together(asking(p, "one", "two"), wait(time.Minute), on("reader refuses", 1), wait(24*time.Hour), asking(p, "one", "two", "three"), all(3))
	},
	"refusal, and as many wrong tokens as there may be": func(p string) []move {
		return together(asking(p, "one", "two"), wait(time.Minute), on("reader refuses", 1), times(7, move{Kind: "submit", Nth: 1, Variant: 1}), all(2), asking(p, "two"), all(3))
	},
	"a full outbox": func(p string) []move {
		return together(asking(p, "one"), wait(time.Minute), shift(relayDown), asking(p, "two", "three"), all(2),
			[]move{{Kind: "ask", Purpose: p, Medium: threepid.Email, Secret: "four", Attempt: 1, Variant: 1, Other: true}}, all(3))
	},
	"limits": func(p string) []move {
		return together(times(5, asking(p, "one")[0]), asking(p, "two", "three"), times(30, move{Kind: "ask", Purpose: p, Medium: threepid.Email, Secret: "four", Attempt: 2, Variant: 1}),
			asking(p, "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), wait(6*time.Minute), asking(p, "thirteen", "fourteen"))
	},
	"the end of the token": func(p string) []move { return together(asking(p, "one"), []move{{Kind: "edge"}}) },
	"the end of the session": func(p string) []move {
		return together(asking(p, "one"), []move{{Kind: "edge", Variant: 1}}, all(1), asking(p, "one"))
	},
	"phone: receipts": func(p string) []move {
		m := move{Kind: "ask", Purpose: p, Medium: threepid.MSISDN, Secret: "one", Attempt: 1, Variant: 1}
		two := m
		two.Secret = "two"
		return together([]move{m}, on("watch", 0), []move{two}, on("watch", 0), shift(relayBouncing), wait(time.Hour), []move{m, two}, on("watch", 0), all(2))
	},
	"held for the captcha": func(p string) []move {
		return together(on("begin", 0), asking(p, "one"), on("watch", 0), on("captcha", 0), on("watch", 0), asking(p, "two"), on("watch", 0), all(2))
	},
}

// TestF15_EachFieldTellsNothing plays one history for each thing that a requester
// could learn of by an answer.
func TestF15_EachFieldTellsNothing(t *testing.T) {
	for name, history := range oracleFields {
		for purpose, kind := range map[string]verification.Proof{
			"register": verification.ProofLink, "account/password": verification.ProofCode, "account/3pid": verification.ProofLink,
		} {
			t.Run(name+"/"+strings.TrimPrefix(purpose, "account/"), func(t *testing.T) {
				opts := oracleOptions{weather: relayUp, config: func(c *Config) { c.Callback, c.Proof = true, kind }}
				if strings.HasPrefix(name, "held") {
					opts.config = func(c *Config) {
						c.Callback, c.Proof, c.RegistrationGate, c.NextLinkOrigins = true, kind, GateCompleted, []string{"https://app.example.org"}
					}
				}
				if strings.Contains(name, "full") {
					opts.weather = relayFull
				}
				owned := opts
				owned.owned = true
				if found := difference(see(t, owned, history(purpose)), see(t, opts, history(purpose))); found != "" {
					t.Error(found)
				}
			})
		}
	}
}

// TestF15_RevealedWorldsDiffer: the comparison finds a difference where there is
// one.
func TestF15_RevealedWorldsDiffer(t *testing.T) {
	opts := oracleOptions{weather: relayUp, config: revealing.config}
	owned := opts
	owned.owned = true
	for _, purpose := range []string{"register", "account/password", "account/3pid"} {
		if difference(see(t, owned, asking(purpose, "one")), see(t, opts, asking(purpose, "one"))) == "" {
			t.Errorf("%s: the same is seen although it is told", purpose)
		}
	}
}

// TestF15_LateLimitTakesAsLong: a repetition that turns out to be none, because the
// session ended while the homeserver was asked, is refused at the end of a step.
func TestF15_LateLimitTakesAsLong(t *testing.T) {
	var seen [2]string
	for i := range seen {
		synctest.Test(t, func(t *testing.T) {
			w := newOracleWorld(t, oracleOptions{weather: relayUp, owned: i == 1, config: callback.config})
			body := phoneBody("one", "GB", "07400123456", 1)
			sid, _ := decoded(t, w.requestPhone("register", body))["sid"].(string)
			next := w.next
			w.next = func(rw http.ResponseWriter, r *http.Request) error {
				for range verification.DefaultMaxTries {
					w.do("POST", phonePath, submitBody(sid, "one", "wrong"))
				}
				return next(rw, r)
			}
			start := time.Now()
			rec := w.requestPhone("register", body)
			wantError(t, rec, http.StatusTooManyRequests, wire.CodeLimitExceeded)
			seen[i] = fmt.Sprint(time.Since(start), rec.Header(), rec.Body)
		})
	}
	if seen[0] != seen[1] {
		t.Errorf("where none has the number:\n%s\nwhere an account has it:\n%s", seen[0], seen[1])
	}
}

// TestCooldownStopsWhatNobodyIsToldOf: after a refusal requests are answered, and
// nothing is sent, for as long as the address cools down; the operator sees why.
func TestCooldownStopsWhatNobodyIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOracleWorld(t, oracleOptions{weather: relayUp, config: callback.config})
		wantMails := func(when string, want int) {
			t.Helper()
			time.Sleep(time.Minute)
			if got := len(w.inbox()); got != want {
				t.Fatalf("%s: %d mails, want %d", when, got, want)
			}
		}
		first := w.request("register", "one", "new@x.org")
		wantMails("before", 1)
		mail := w.inbox()[0]
		wantStatus(t, w.do("POST", refuseQuery(string(mail.SID), string(mail.Refusal)), "List-Unsubscribe=One-Click", "Content-Type", "application/x-www-form-urlencoded"), 200)
		again := w.do("POST", "/_matrix/client/v3/register/email/requestToken", `{"client_secret":"one","email":"new@x.org","send_attempt":2}`)
		wantStatus(t, again, 200)
		if got := decoded(t, again)["sid"]; got != first {
			t.Errorf("got sid %v, want %s", got, first)
		}
		second := w.request("register", "two", "new@x.org")
		wantMails("while it cools down", 1)
		for sid, want := range map[string]verification.State{first: verification.Revoked, second: verification.Pending} {
			if a, err := w.svc.Describe(t.Context(), threepid.SID(sid)); err != nil || a.State != want || second == sid && a.Delivery != verification.Failed {
				t.Errorf("the operator sees %+v, %v", a, err)
			}
		}
		// The reader of the mail is told, and confirms nothing.
		wantPage(t, w.do("GET", linkQuery("sid", first, "token", string(mail.Token)), ""), 400, "This request was ended")
		wantError(t, w.do("POST", linkPath, submitBody(first, "one", string(mail.Token))), 400, "M_SESSION_EXPIRED")
		wantError(t, w.do("POST", linkPath, submitBody(first, "one", "wrong")), 400, "M_TOKEN_INCORRECT")
		time.Sleep(verification.DefaultCooldown)
		w.request("register", "three", "new@x.org")
		wantMails("after it", 2)
	})
}
