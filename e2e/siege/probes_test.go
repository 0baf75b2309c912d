// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/twosample"
)

// probes are the requests of one who wants to know which addresses have accounts, and
// has a new network for each: pairs of the same, for one that has and for one that has
// not, in random order.
type probes struct {
	*siege
	rnd    *rand.Rand
	every  time.Duration
	n      int
	asked  int
	turned int                  // requests that a limit has refused
	heard  map[string]*[2]heard // by purpose; of unknown and known addresses
	kinds  []string             // of answers
	wanted []string
}

// heard are the answers for one kind of addresses: which, when they came, and for how
// long they ask to wait.
type heard struct{ kind, took, wait []time.Duration }

// probed is how many addresses of each kind there are: each is asked for again and again.
const probed = 20

func newProbes(s *siege) *probes {
	p := &probes{siege: s, rnd: chance(s.seed, "probes"), every: s.size.probes, heard: map[string]*[2]heard{}}
	if s.attack.curious {
		p.every /= 10
	}
	p.wanted = []string{"account/password", "register", "account/3pid"}
	for _, purpose := range p.wanted {
		p.heard[purpose] = new([2]heard)
	}
	for i := range probed {
		s.site.hs.AddUser(fmt.Sprint("probed", i), "password", p.address(i, 1))
	}
	return p
}

func (p *probes) address(i, known int) string {
	return fmt.Sprintf("%s%d@%s", []string{"absent", "present"}[known], i, providers[i%len(providers)])
}

// pair is the next one.
func (p *probes) pair() {
	purpose, i := p.wanted[p.n%len(p.wanted)], p.n/len(p.wanted)%probed
	p.n++
	first := p.rnd.IntN(2)
	p.probe(purpose, i, first)
	p.probe(purpose, i, 1-first)
	p.line.in(p.every, p.pair)
}

func (p *probes) probe(purpose string, i, known int) {
	p.asked++
	r := jsonOf(in24(90, p.asked, 9), purpose+"/email/requestToken", map[string]any{
		"client_secret": fmt.Sprint("probe", p.asked), "email": p.address(i, known), "send_attempt": 1,
	})
	r.agent = agent
	begun := time.Now()
	a := p.site.send(r)
	if refused(a.status) {
		p.turned++
	}
	h := &p.heard[purpose][known]
	h.took = append(h.took, time.Since(begun))
	h.wait = append(h.wait, a.wait())
	h.kind = append(h.kind, time.Duration(p.kindOf(a)))
}

// kindOf numbers the kinds of answers: what can be told of one but for its sid and its
// times.
func (p *probes) kindOf(a answer) int {
	var body map[string]any
	_ = json.Unmarshal([]byte(a.body), &body) // else it has no fields
	kind := fmt.Sprint(a.status, body["errcode"], slices.Sorted(maps.Keys(body)))
	if !slices.Contains(p.kinds, kind) {
		p.kinds = append(p.kinds, kind)
	}
	return slices.Index(p.kinds, kind)
}

// apart is how likely it is that chance alone makes answers differ as much as the most
// telling of what can be compared, and what that is, if anything differs.
func (p *probes) apart() (least float64, of string) {
	least = 1
	look := func(what string, unknown, known []time.Duration) {
		r := twosample.Compare(unknown, known)
		if found := min(r.U, r.KS); found < least {
			least, of = found, what
		}
	}
	for _, purpose := range p.wanted {
		unknown, known := p.heard[purpose][0], p.heard[purpose][1]
		look("answers of "+purpose, unknown.kind, known.kind)
		look("times of "+purpose, unknown.took, known.took)
		look("waits of "+purpose, unknown.wait, known.wait)
	}
	return least, of
}
