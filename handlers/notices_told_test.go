// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestNotice_IsReported under pseudonyms: whose account it is about, if that is known, and
// who was told first.
func TestNotice_IsReported(t *testing.T) {
	r, token := aliceWith(t, options{}, "alice@x.org", "second@x.org")
	wantStatus(t, r.remove(token, "email", "second@x.org"), http.StatusOK)
	sid := r.validated("account/password", "s", "alice@x.org")
	wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusOK)
	var got []report.Change
	for _, change := range r.events.changes {
		if change.Action == actionNotified {
			got = append(got, change)
		}
	}
	want := []report.Change{
		{Action: actionNotified, User: r.svc.Pseudonym(alice), Medium: threepid.Email, Address: r.svc.Pseudonym("second@x.org")},
		{Action: actionNotified, Medium: threepid.Email, Address: r.svc.Pseudonym("alice@x.org")},
	}
	if !slices.Equal(got, want) {
		t.Errorf("reported was %+v, want %+v", got, want)
	}
}

// TestNotice_InTheLanguageAtHand where that of the owner is not known.
func TestNotice_InTheLanguageAtHand(t *testing.T) {
	r, token := aliceWith(t, options{config: func(c *Config) {
		audienceOf(c).language = func(accept string) string { return accept }
		audienceOf(c).brand = func(host string) string { return "brand of " + host }
	}}, "alice@x.org")
	wantStatus(t, r.do("POST", deletePath, ofAlice(""), "Authorization", "Bearer "+token, "Accept-Language", "ja"), http.StatusOK)
	if m := r.box.last(t); m.Notice != verification.NoticeGone || m.Language != "ja" || m.Brand != "brand of example.com" {
		t.Errorf("got %+v", m)
	}
}

// TestNotice_GoesToAddressesOfEmail, as they are written to.
func TestNotice_GoesToAddressesOfEmail(t *testing.T) {
	for t3, want := range map[threepid.ThreePID]string{
		{Medium: threepid.Email, Address: "A@X.org"}: "a@x.org", {Medium: threepid.Email, Address: "nobody"}: "", {Medium: threepid.MSISDN, Address: "447400123456"}: "", {Medium: "fax", Address: "a@x.org"}: "",
	} {
		var got string
		for _, reader := range readerOf(t3, verification.NoticeGone) {
			got += reader.Address
			if reader.Notice != verification.NoticeGone {
				t.Errorf("%v is told of %s", t3, reader.Notice)
			}
		}
		if got != want {
			t.Errorf("%v is told at %q, want %q", t3, got, want)
		}
	}
}

// beside is an observer that looks at the requests of notices.
type beside struct {
	*events
	seen []error
}

func (b *beside) Changed(r *http.Request, c report.Change) {
	if c.Action == actionNotified {
		b.seen = append(b.seen, r.Context().Err())
	}
	b.events.Changed(r, c)
}

// TestNotice_OutlivesItsRequest, and no more than that: it is reported with one that has
// not ended, and afterwards it has.
func TestNotice_OutlivesItsRequest(t *testing.T) {
	var during context.Context
	r, token := aliceWith(t, options{config: func(c *Config) {
		c.Emails = rules{refused: func(ctx context.Context, _ string) bool { during = ctx; return false }}
	}}, "alice@x.org")
	o := &beside{events: r.events}
	r.client.notices.obs = o
	gone, leave := context.WithCancel(t.Context())
	legacy := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if strings.HasSuffix(req.URL.Path, "/delete") {
			defer leave()
		}
		return legacy(w, req)
	}
	req := httptest.NewRequest("POST", deletePath, strings.NewReader(ofAlice(""))).WithContext(gone)
	req.Header.Set("Authorization", "Bearer "+token)
	wantStatus(t, r.send(req), http.StatusOK)
	if r.wantTold("gone alice@x.org"); len(o.seen) != 1 || o.seen[0] != nil {
		t.Errorf("reported were %v, want one with a request that goes on", o.seen)
	}
	await(t, during.Done())
}

// TestNotice_HowLongAnAnswerWaitsForOne: a quarter of a second, and the work goes on for
// some more.
func TestNotice_HowLongAnAnswerWaitsForOne(t *testing.T) {
	for takes, want := range map[time.Duration]time.Duration{
		0: 0, 249 * time.Millisecond: 249 * time.Millisecond, time.Second: 250 * time.Millisecond, time.Hour: 250 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			r, token := aliceWith(t, options{config: func(c *Config) {
				c.Emails = rules{refused: func(ctx context.Context, _ string) bool {
					select {
					case <-time.After(takes):
						return false
					case <-ctx.Done(): // the name server is silent
						return true
					}
				}}
			}}, "alice@x.org")
			start := time.Now()
			wantStatus(t, r.remove(token, "email", "alice@x.org"), http.StatusOK)
			if got := time.Since(start); got != want {
				t.Errorf("a notice that takes %s: answered after %s, want %s", takes, got, want)
			}
			time.Sleep(wire.SettleTime)
			synctest.Wait()
			if takes < time.Minute {
				r.wantTold("gone alice@x.org")
			} else {
				r.wantTold()
			}
		})
	}
}
