// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestNotice_IsReported under pseudonyms: whose account it is about, if that is known, and
// who was told first.
func TestNotice_IsReported(t *testing.T) {
	r, token := aliceWith(t, options{}, "alice@x.org", "second@x.org")
	wantStatus(t, r.remove(token, "email", "second@x.org"), http.StatusOK)
	sid := r.validated("account/password", "s", "alice@x.org")
	wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusOK)
	var got []Change
	for _, change := range r.events.changes {
		if change.Action == actionNotified {
			got = append(got, change)
		}
	}
	want := []Change{
		{Action: actionNotified, User: r.svc.Pseudonym(alice), Medium: verification.Email, Address: r.svc.Pseudonym("second@x.org")},
		{Action: actionNotified, Medium: verification.Email, Address: r.svc.Pseudonym("alice@x.org")},
	}
	if !slices.Equal(got, want) {
		t.Errorf("reported was %+v, want %+v", got, want)
	}
}

// TestNotice_HowLongAnAnswerWaitsForOne: a quarter of a second, and the work goes on for
// some more.
func TestNotice_HowLongAnAnswerWaitsForOne(t *testing.T) {
	for takes, want := range map[time.Duration]time.Duration{
		0: 0, 249 * time.Millisecond: 249 * time.Millisecond, time.Second: 250 * time.Millisecond, time.Hour: 250 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			r, token := aliceWith(t, options{config: func(c *Config) {
				c.EmailPolicy = func(ctx context.Context, _ string) bool {
					select {
					case <-time.After(takes):
						return false
					case <-ctx.Done(): // the name server is silent
						return true
					}
				}
			}}, "alice@x.org")
			start := time.Now()
			wantStatus(t, r.remove(token, "email", "alice@x.org"), http.StatusOK)
			if got := time.Since(start); got != want {
				t.Errorf("a notice that takes %s: answered after %s, want %s", takes, got, want)
			}
			time.Sleep(settleTime)
			synctest.Wait()
			if takes < time.Minute {
				r.wantTold("gone alice@x.org")
			} else {
				r.wantTold()
			}
		})
	}
}
