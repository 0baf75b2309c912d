// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var (
	full = flag.Bool("full", false, "a whole day")
	seed = flag.Uint64("seed", 14, "of all that is drawn")
)

// TestSiege prints how many honest people get through, whoever attacks.
func TestSiege(t *testing.T) {
	size := short
	if *full {
		size = whole
	}
	watch := newStopwatch(t)
	rows := make([]row, len(attackers))
	t.Run("attackers", func(t *testing.T) {
		for i, a := range attackers {
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { rows[i] = besiege(t, a, size, *seed, watch) })
			})
		}
	})
	rows = slices.DeleteFunc(rows, func(r row) bool { return r.attacker.name == "" }) // those that -run leaves out
	t.Logf("seed %d, at most %s of attack at %v requests/s, %d resets, %d adds and %d by phone, %d registrations:\n\n%s",
		*seed, size.length(), size.rate, size.resets, size.adds, size.phones, size.newcomers, table(rows))
	for _, r := range rows {
		for _, broken := range r.attacker.promised.brokenBy(r) {
			t.Errorf("%s: %s", r.attacker.name, broken)
		}
	}
}

// siege is one run.
type siege struct {
	site *site
	line timeline
	seed uint64
	size scale

	people  []*person
	errands []*errand
	ended   int             // of them
	own     map[string]bool // the sessions of honest people
	attack  *attack
	probes  *probes
}

// besiege has one attacker attack, and everybody else live on.
func besiege(t *testing.T, by attacker, size scale, seed uint64, watch *stopwatch) row {
	s := &siege{site: newSite(t, seed), seed: seed, size: size, own: map[string]bool{}}
	s.attack = &attack{siege: s, attacker: by, rnd: chance(seed, "attacker"), watch: watch, statuses: map[int]int{}}
	s.populate(by.owners)
	if by.owners {
		s.attack.prefetch()
	}
	s.probes = newProbes(s)
	begun := time.Now()
	end := begun.Add(size.length())
	if by.do != nil {
		s.line.at(begun, func() { s.attack.strike(begun) })
	}
	s.line.in(size.before, s.probes.pair)
	s.line.run(end, s.lives, s.deliver)
	s.attack.flying.Wait()
	return s.sum()
}

// populate has honest people come at random times of the day.
func (s *siege) populate(owners bool) {
	rnd := chance(s.seed, "times")
	var errands []*errand
	come := func(e *errand) { errands = append(errands, e) }
	for i := range s.size.resets {
		p := s.member("reset")
		p.owner = owners && i < s.size.owners/2
		come(p.reset())
	}
	for i := range s.size.adds {
		p := s.member("add")
		p.owner = owners && i < s.size.owners/2
		come(p.add())
	}
	for range s.size.phones {
		come(s.member("phone").addPhone())
	}
	for range s.size.newcomers {
		come(s.person("new").register())
	}
	s.settle(rnd)
	for _, e := range errands {
		s.line.in(s.size.before+within(rnd, 0, s.size.day), e.begin)
	}
}

// settle lets days pass in which nobody attacks, and most people with an account prove
// their address from home once. One in twenty comes from somewhere new later.
func (s *siege) settle(rnd *rand.Rand) {
	const quiet = 48 * time.Hour
	for _, p := range s.people {
		if p.token != "" && rnd.IntN(20) != 0 {
			p.password = "new"
			s.line.in(within(rnd, 0, 12*time.Hour), p.reset().begin)
		}
	}
	s.line.run(time.Now().Add(quiet), func() bool { return true }, s.deliver)
	time.Sleep(quiet / 2)
	s.errands, s.ended = nil, 0
	for _, p := range s.people {
		if p.token != "" {
			p.logIn()
		}
	}
}

// deliver hands out what has been sent.
func (s *siege) deliver() {
	synctest.Wait()
	s.site.post.deliver()
}

// lives reports whether somebody still hopes for something, or is to come.
func (s *siege) lives() bool {
	size := s.size
	return s.ended < size.resets+size.adds+size.phones+size.newcomers
}
