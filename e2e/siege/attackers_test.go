// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// attacker is one who has a plan.
type attacker struct {
	name string
	slow bool // it need not hurry
	from func(*rand.Rand) netip.Addr
	do   func(*attack) request
	// owners says that it is about a few people, whose errands alone are counted then.
	owners bool
	// curious says that its requests are pairs of probes.
	curious  bool
	promised bound
}

// attack is what one does.
type attack struct {
	*siege
	attacker
	rnd   *rand.Rand
	watch *stopwatch
	n     int // requests
	// session is the registration that was begun last.
	session string
	// statuses are how many were answered how, and refusals what some of those took
	// that were refused.
	flying   sync.WaitGroup // requests without an answer
	mu       sync.Mutex
	statuses map[int]int
	refusals []time.Duration
}

// sampled is one of how many requests is looked at more closely.
const sampled = 32

// strike makes the request that is due, and sees to the next. Nobody waits for its answer,
// which may take as long as that of a homeserver.
func (a *attack) strike(due time.Time) {
	r := a.do(a)
	a.n++
	look := a.n%sampled == 0
	a.flying.Go(func() {
		var got answer
		var took time.Duration
		if look {
			took = a.watch.took(func() { got = a.site.send(r) })
		} else {
			got = a.site.send(r)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if look && refused(got.status) {
			a.refusals = append(a.refusals, took)
		}
		a.statuses[got.status]++
	})
	next := due.Add(time.Duration(float64(time.Second) / a.rate()))
	a.line.at(next, func() { a.strike(next) })
}

// rate is how many requests there are in a second.
func (a *attack) rate() float64 {
	if a.slow {
		return 2
	}
	return a.size.rate
}

// refused reports whether a limit has refused a request.
func refused(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}
