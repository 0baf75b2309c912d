// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/handlers"
)

var (
	howLong  = flag.Duration("adversary.for", 20*time.Second, "how long the adversary tries its luck against the double")
	trusting = flag.Bool("adversary.trusting", true, "whether there are homeservers that trust every identity server")
	names    = flag.Bool("adversary.names", true, "whether it is a violation to tell a name of the homeserver's")
)

// TestAdversary lets the adversary loose on the double, whose memory is as bad as
// that of Synapse 1.3.1 and whose ledger tells what came of it.
func TestAdversary(t *testing.T) {
	c := newCounts()
	for until := time.Now().Add(*howLong); time.Now().Before(until) && !t.Failed(); {
		rapid.Check(t, func(rt *rapid.T) {
			if time.Now().Before(until) || c.ruined { // a failure is shortened, however late it is
				run(rt, c)
			}
		})
	}
	t.Logf("%s", c)
	if t.Failed() || c.sequences < 200 {
		return // by so few, not all is reached
	}
	if cells := c.missing(); len(cells) > 0 {
		t.Errorf("never tried: %q", cells)
	}
	for _, what := range []string{
		"the attacker: password set by password", "the attacker: address set by register",
		"the victim: password set by password", "the victim: address set by add",
	} {
		if c.paid[what] == 0 {
			t.Errorf("nothing was ever paid for: %s; the model does nothing that works", what)
		}
	}
}

// anySetup draws a configuration.
func anySetup(rt *rapid.T) setup {
	yes := func(label string) bool { return rapid.Bool().Draw(rt, label) }
	return setup{
		Callback: yes("callback"), Reveal: yes("reveal"), Captcha: yes("captcha"), Terms: yes("terms"),
		RequireEmail: yes("require email"), Later: yes("later"), TrustsAnybody: rapid.IntRange(0, 3).Draw(rt, "trusts anybody") == 3 && *trusting,
		Gate: rapid.SampledFrom([]handlers.Gate{handlers.GateOff, handlers.GateOffered, handlers.GateCompleted}).Draw(rt, "gate"),
	}
}

// run is one sequence.
func run(rt *rapid.T, c *counts) {
	w := &world{T: rt, counts: c, judge: judge{noNames: !*names}}
	w.s = newSite(rt, anySetup(rt))
	w.elsewhere = w.ownSite()
	w.settle()
	c.sequences++
	rt.Repeat(w.actions())
}

// actions are all that can happen. Most of it is calls.
func (w *world) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){
		"ask": w.attackerAsks, "ask again": w.attackerAsks, "click": w.attackerClicks, "victim reads": w.victimReads,
		"register": w.attackerRegisters, "reset": w.attackerResets, "victim resets": w.victimResets, "victim adds": w.victimAdds, "log in": w.attackerLogsIn,
		"time": w.timePasses, "operator": w.operatorActs,
	}
	for i := range 9 {
		actions[fmt.Sprint("call ", i)] = w.call
	}
	for label, do := range actions {
		actions[label] = func(rt *rapid.T) {
			w.counts.steps++
			do(rt)
		}
	}
	return actions
}

// settle makes the accounts that there are at the beginning.
func (w *world) settle() {
	w.victim = &account{name: w.tag + "victim", password: "the victim's"}
	mallory := &account{name: w.tag + "mallory", password: "mallory's"}
	w.accounts = []*account{mallory}
	w.s.double.AddUser(w.victim.name, w.victim.password, w.victims()[0])
	w.s.double.AddUser(mallory.name, mallory.password, w.attackers()[0])
	for _, a := range []*account{w.victim, mallory} {
		if !w.logIn(a) {
			w.Fatalf("log in %s: no token", a.name)
		}
	}
	w.s.evil = func(string) []byte {
		return fmt.Appendf(nil, `{"medium":"email","address":%q,"validated_at":1}`, w.victims()[0])
	}
	w.judge.seen = len(w.s.double.Changes())
}

// ownSite is the attacker's own, where they have an account.
func (w *world) ownSite() *site {
	s := newSite(w.T, setup{Captcha: true, RequireEmail: true, Later: true})
	eve := &account{name: "eve", password: "eve's"}
	s.double.AddUser(eve.name, eve.password)
	w.logInAt(s, eve)
	w.elsewhereToken = eve.token
	return s
}
