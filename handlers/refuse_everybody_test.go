// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestRefuseForOneNetworkOrForEverybody: the network that has asked is closed to, and
// any other only if the reader has ticked the box; a mail program has no such box.
func TestRefuseForOneNetworkOrForEverybody(t *testing.T) {
	const asker, other = "192.0.2.7", "198.51.100.7"
	pressed := func(box ...string) func(*mail) {
		return func(m *mail) {
			form := fields(m.do("GET", m.link(), ""))
			form["everybody"] = box
			m.clock.Advance(5 * time.Second)
			wantPage(m.t, m.refuseForm(form), http.StatusOK, "The request was ended")
		}
	}
	for name, c := range map[string]struct {
		refuse    func(*mail)
		everybody bool
	}{
		"by the page":               {pressed(), false},
		"by the page, for all":      {pressed("1"), true},
		"by a mail program":         {func(m *mail) { wantStatus(m.t, m.oneClick(m.link()), http.StatusOK) }, false},
		"by a mail program's guess": {func(m *mail) { wantStatus(m.t, m.oneClick(m.link()+"&everybody=1"), http.StatusOK) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			modes(t, func(t *testing.T, opts options) {
				before := opts.config
				opts.config = func(c *Config) {
					if byHeader(c); before != nil {
						before(c)
					}
				}
				m := &mail{rig: newPageRig(t, opts)}
				if m.stopped(asker, "before") {
					t.Fatal("nobody has refused anything yet")
				}
				m.sid, m.refusal = m.box.last(t).SID, m.box.last(t).Refusal
				c.refuse(m)
				m.clock.Advance(time.Hour)
				if !m.stopped(asker, "again") {
					t.Error("who has asked may ask again")
				}
				if got := m.stopped(other, "other"); got != c.everybody {
					t.Errorf("another network is refused: %v, want %v", got, c.everybody)
				}
				m.clock.Advance(verification.DefaultCooldown)
				if m.stopped(asker, "after") {
					t.Error("it is a day later")
				}
			})
		})
	}
}

// stopped asks for a mail from a network, and reports whether the reader's refusal
// keeps it from being sent: told at once, or, with decoys, by the outbox alone.
func (m *mail) stopped(client, secret string) bool {
	m.t.Helper()
	rec := m.do("POST", registerToken, fmt.Sprintf(`{"client_secret":%q,"email":"alice@x.org","send_attempt":1}`, secret), "X-Client", client)
	if rec.Code == http.StatusTooManyRequests {
		if got := m.events.refusals(); got[len(got)-1] != verification.LimitCooldown {
			m.t.Errorf("refused by %v", got)
		}
		return true
	}
	wantStatus(m.t, rec, http.StatusOK)
	wait, err := m.svc.Cooling(m.t.Context(), m.box.last(m.t))
	if err != nil {
		m.t.Fatal(err)
	}
	return wait > 0
}

// TestRefuseKeepsTheBox: it is not ticked, and who has ticked it need not do so again
// for the press that counts.
func TestRefuseKeepsTheBox(t *testing.T) {
	m := newRefuseRig(t)
	const box, ticked = `name="everybody" value="1">`, `name="everybody" value="1" checked>`
	form := url.Values{"sid": {m.sid}, "refusal": {m.refusal}} // which no person has sent
	for name, c := range map[string]struct{ body, want string }{
		"asked":                {m.do("GET", m.link(), "").Body.String(), box},
		"asked again":          {m.refuseForm(form).Body.String(), box},
		"asked again, with it": {m.refuseForm(url.Values{"sid": form["sid"], "refusal": form["refusal"], "everybody": {"1"}}).Body.String(), ticked},
	} {
		if strings.Count(c.body, c.want) != 1 {
			t.Errorf("%s: want once %s:\n%s", name, c.want, c.body)
		}
	}
}
