// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// everyJourney are all journeys with the homeserver asked first, and some without: it
// makes a difference for their beginning.
func everyJourney(t *testing.T, test func(t *testing.T, j journey, callback bool)) {
	for i, j := range slices.Concat(journeys, moreJourneys, hostileJourneys) {
		for _, callback := range []bool{true, false} {
			if !callback && i >= len(journeys) && !j.off {
				continue
			}
			t.Run(fmt.Sprintf("%s/callback=%v", j.name, callback), func(t *testing.T) {
				t.Parallel()
				test(t, j, callback)
			})
		}
	}
}

// begin makes the world in which a journey begins.
func (j journey) begin(t *testing.T, callback bool) *chaos {
	t.Helper()
	c := newChaos(t, callback)
	j.prepare(c)
	return c
}

func (j journey) prepare(c *chaos) {
	if j.before != nil {
		j.before(c)
	}
	c.since, c.again = len(c.hs.Changes()), true
}

// whole makes it without a fault, and returns how many calls of the homeserver it takes.
func (j journey) whole(t *testing.T, callback bool) int {
	t.Helper()
	c := j.begin(t, callback)
	c.far.arm(0, farFault{})
	err := j.run(c)
	if err != nil || j.done != nil && !j.done(c) {
		t.Fatalf("without a fault: %v, or nothing is done", err)
	}
	c.lawful("without a fault")
	return c.far.count
}

// TestEveryStoreOperationFailsOnce makes the n-th operation of all transactions of a
// journey fail, for every n that there is. What answered an error can be sent again,
// and works, unless the fault was that what is written was said not to be.
func TestEveryStoreOperationFailsOnce(t *testing.T) {
	t.Parallel()
	everyJourney(t, func(t *testing.T, j journey, callback bool) {
		j.whole(t, callback)
		for _, kind := range []error{errDisk, storetest.OfEveryKind(errDisk)} {
			n := 1
			for met := true; met; n++ {
				c := j.begin(t, callback)
				c.disk.Err = kind
				c.disk.Arm(n)
				err := j.run(c)
				broke := c.disk.Broke()
				c.disk.Arm(0)
				if met = broke != ""; met {
					c.survived(j, err, broke, !strings.HasPrefix(broke, storetest.Committed))
				}
			}
			if n < 3 && j.done != nil {
				t.Errorf("the journey has %d operations: nothing is tested", n)
			}
		}
	})
}

// TestEveryCallOfTheHomeserverFailsOnce is the same for the calls of the homeserver,
// and for each way in which one can fail.
func TestEveryCallOfTheHomeserverFailsOnce(t *testing.T) {
	t.Parallel()
	everyJourney(t, func(t *testing.T, j journey, callback bool) {
		for n := range j.whole(t, callback) {
			for _, fault := range farFaults {
				synctest.Test(t, func(t *testing.T) {
					c := j.begin(t, callback)
					c.far.arm(n+1, fault)
					err := j.run(c)
					broke := c.far.broke
					if c.far.arm(0, farFault{}); broke == "" {
						return // it is not about this call
					}
					if c.far.lied = fault.lies; fault.lies {
						err = nil // whoever believes it is told so
					}
					c.survived(j, err, broke, !fault.acts && !fault.lies)
				})
			}
		}
	})
}

// survived is what is true of a journey with a fault: nobody got what they had no right
// to, and no session is worth more than it was. If the fault has left all as it was,
// the journey went on to its end. Whatever the fault was, the next journey is as if
// there had been none.
func (c *chaos) survived(j journey, err error, fault string, harmless bool) {
	c.t.Helper()
	c.honest()
	c.lawful(fault)
	switch {
	case harmless && err != nil:
		c.t.Errorf("%s: it was sent again, and failed: %v", fault, err)
	case err == nil && !c.far.lied && j.done != nil && !j.done(c):
		c.t.Errorf("%s: the last answer was good, and nothing is done", fault)
	case err != nil && !c.broke():
		c.t.Errorf("%s: it went wrong and nobody was told why: %v", fault, err)
	}
	c.clock.Advance(2 * verification.DefaultInFlight)
	c.settled(fault)
	c.round++
	c.far.lied = false
	j.prepare(c)
	clear(c.rights)
	if err := j.run(c); err != nil || j.done != nil && !j.done(c) {
		c.t.Errorf("%s: afterwards it cannot be done any more: %v", fault, err)
	}
	c.lawful("after " + fault)
}

// lawful compares what was done to accounts with what there was a right to.
func (c *chaos) lawful(when string) {
	c.t.Helper()
	left := map[string]int{}
	maps.Copy(left, c.rights)
	use := func(rights ...string) bool {
		for _, right := range rights {
			if left[right] > 0 {
				left[right]--
				return true
			}
		}
		return false
	}
	done := c.hs.Changes()[c.since:]
	for _, d := range done {
		var ok bool
		switch d.Kind {
		case fakehs.PasswordSet:
			ok = use("account/password")
		case fakehs.Registered:
			ok = use("register")
		case fakehs.AddressSet:
			ok = use("register "+d.Address, "account/3pid "+d.Address) && (d.From == "" || d.From == d.User)
		default:
			ok = use(string(d.Kind) + " " + d.User)
		}
		if !ok {
			c.t.Errorf("%s: nobody had a right to %+v", when, d)
		}
	}
	if len(done) > 0 || c.far.lied {
		return
	}
	for _, m := range c.mails() {
		if m.Notice != "" && c.round == 0 {
			c.t.Errorf("%s: nothing was done, and %s is told %q", when, m.Address, m.Notice)
		}
	}
}
