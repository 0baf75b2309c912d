// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// How old a proof may be when something is paid for with it. A validated session
// lives for 24 hours since its last modification; in a registration, other stages
// may come after the one that it has proven.
const (
	freshness    = 25 * time.Hour
	registration = 50 * time.Hour
)

// judge decides whether the invariant holds, after each request.
type judge struct {
	seen    int  // of the double's ledger
	noNames bool // leaves the names out
}

// ruin ends the run. Rapid shortens a sequence for as long as the message stays the
// same, so there is nothing of chance in it.
func (w *world) ruin(format string, args ...any) {
	w.counts.ruined = true
	w.Logf("%+v\n%s", w.s.setup, strings.Join(w.told, "\n"))
	w.Fatalf("VIOLATION: %s", fmt.Sprintf(format, args...))
}

// fresh are the entries of the ledger since the last look.
func (j *judge) fresh(w *world) []fakehs.Change {
	if w.s.double == nil {
		return nil
	}
	all := w.s.double.Changes()
	made := all[j.seen:]
	j.seen = len(all)
	for _, c := range made {
		w.tell("  => %s: %s %s (before: %s)", c.Kind, c.User, c.Address, c.From)
	}
	return made
}

// attackerDid looks at what a request of the attacker's has done.
func (j *judge) attackerDid(w *world, r request, got answer) {
	j.names(w, r, got)
	changes := j.fresh(w)
	for i, c := range changes {
		if c.User == w.victim.id() || c.From == w.victim.id() {
			w.ruin("the victim's account: %s", c.Kind)
		}
		switch c.Kind {
		case fakehs.PasswordSet:
			if !r.hasToken() {
				j.pay(w, c, threepid.Password, freshness, w.ownerOfProof(c.User))
			} else if w.holder(r) != c.User { // their password has paid for it
				w.ruin("%s of %s by somebody else", c.Kind, c.User)
			}
		case fakehs.AddressSet:
			purpose, age := threepid.Add, freshness
			if i > 0 && changes[0].Kind == fakehs.Registered {
				purpose, age = threepid.Register, registration
			}
			j.pay(w, c, purpose, age, func(p *proof) bool { return p.address == c.Address })
		case fakehs.Registered:
			if w.s.setup.RequireEmail && len(changes) == 1 {
				w.ruin("an account without an address")
			}
		default: // with the password of the account that the token is of
			if w.holder(r) != c.User {
				w.ruin("%s of %s by somebody else", c.Kind, c.User)
			}
		}
	}
}

func (r request) hasToken() bool { return r.token != "" || strings.Contains(r.target, "access_token=") }

// holder is whose token a request has; these are all that the attacker has.
func (w *world) holder(r request) string {
	for _, a := range w.accounts {
		if a.token == r.token || strings.Contains(r.target, "access_token="+url.QueryEscape(a.token)) {
			return a.id()
		}
	}
	return ""
}

// ownerOfProof says which proofs are about an address that the account has.
func (w *world) ownerOfProof(user string) func(*proof) bool {
	local, _, _ := strings.Cut(strings.TrimPrefix(user, "@"), ":")
	var has []string
	if w.s.double != nil {
		has = w.s.double.Emails(local)
	}
	return func(p *proof) bool { return slices.Contains(has, p.address) }
}

// pay uses up one fresh proof of that purpose for a change.
func (j *judge) pay(w *world, c fakehs.Change, purpose threepid.Purpose, age time.Duration, about func(*proof) bool) {
	for _, p := range w.proofs {
		unused := !p.confirmed.IsZero() && !p.spent && w.s.clock.Now().Sub(p.confirmed) <= age
		if unused && p.purpose == purpose && about(p) {
			p.spent = true
			who := "the attacker: "
			if c.User == w.victim.id() {
				who = "the victim: "
			}
			w.counts.paid[who+string(c.Kind)+" by "+string(purpose)]++
			return
		}
	}
	w.ruin("%s of %s %s, without a fresh proof for it that was not used before", c.Kind, c.User, c.Address)
}

// victimDid does the same for the victim, whose requests are paid for as well.
func (j *judge) victimDid(w *world, r request, got answer) {
	j.names(w, r, got)
	for _, c := range j.fresh(w) {
		if c.User != w.victim.id() {
			w.ruin("the victim has changed %s", c.User)
		}
		switch c.Kind {
		case fakehs.PasswordSet:
			j.pay(w, c, threepid.Password, freshness, w.ownerOfProof(c.User))
		case fakehs.AddressSet:
			j.pay(w, c, threepid.Add, freshness, func(p *proof) bool { return p.address == c.Address })
		default:
			w.ruin("the victim has made: %s", c.Kind)
		}
	}
}

// names looks for names of the homeserver's: in an answer of ours, and in what has
// reached the homeserver by us though the attacker had it from elsewhere.
func (j *judge) names(w *world, r request, got answer) {
	if r.around || w.s.double == nil {
		return
	}
	sent := r.target + r.body
	text := got.body
	for key, values := range got.header {
		text += "\n" + key + ": " + strings.Join(values, ", ")
	}
	arrived := w.arrived()
	for _, raw := range w.s.double.SessionNames() {
		given := strings.Contains(sent, raw)
		switch {
		case j.noNames:
		case given && slices.Contains(arrived, raw):
			w.ruin("a name that we did not give out has reached the homeserver: %s", r.method)
		case !given && strings.Contains(text, raw):
			w.tell("  => the homeserver's name: %s", raw)
			w.ruin("an answer tells a session's name of the homeserver's: %s", r.method)
		}
	}
}

// arrived are the names of sessions in what the homeserver was sent since the last
// look, where it reads them.
func (w *world) arrived() (names []string) {
	for _, req := range w.s.double.Requests() {
		values, _ := url.ParseQuery(req.Query)
		form, _ := url.ParseQuery(string(req.Body))
		if strings.Contains(req.Path, "/auth/") {
			names = append(names, values.Get("session"), form.Get("session"))
		}
		var body struct {
			Auth struct {
				Session any `json:"session"`
			} `json:"auth"`
		}
		if json.Unmarshal(req.Body, &body) == nil {
			if text, ok := body.Auth.Session.(string); ok {
				names = append(names, text)
			}
		}
	}
	w.s.double.ResetRecordings()
	return names
}
