// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// hops tells how long the parts of a request take that are not ours: the way to
// the homeserver and back, and its way to our other face and back, which it goes
// only if it grants. Time is that of a bubble, in which our own work takes none;
// that it is the same work is shown by verification.TestF15_DecoyCostsTheSame.
type hops struct {
	mu  sync.Mutex
	rnd *rand.Rand
	max time.Duration
}

func (j *hops) pass() {
	j.mu.Lock()
	d := time.Duration(j.rnd.Int64N(int64(j.max)))
	j.mu.Unlock()
	time.Sleep(d)
}

// slowFace is the homeserver's way to our other face.
type slowFace struct {
	hops *hops
	next http.RoundTripper
}

func (s slowFace) RoundTrip(r *http.Request) (*http.Response, error) {
	s.hops.pass()
	return s.next.RoundTrip(r)
}

// timed is a rig whose answers take time. pace is the shortest step.
func timed(t *testing.T, j *hops, pace time.Duration) *rig {
	t.Helper()
	var hs *fakehs.Server
	r, _ := phoneRig(t, options{
		config: func(c *Config) { c.Callback, c.Pace = true, pace },
		hs:     func(o *fakehs.Options) { o.HTTPClient.Transport = slowFace{j, o.HTTPClient.Transport} },
		next: func(w http.ResponseWriter, req *http.Request) error {
			j.pass()
			hs.ServeHTTP(w, req)
			j.pass()
			return nil
		},
	})
	hs = r.hs
	r.client.equalizer = NewClient(r.client.cfg, r.svc, r.ids, r.events).equalizer // which rigs are without
	r.hs.AddUser("owner", "secret")
	r.hs.AddThreepid("owner", "email", "owner@x.org")
	r.hs.AddThreepid("owner", "msisdn", "447400123456")
	return r
}

// ask asks about an address that an account has, or one that nobody has.
func (h hiding) ask(r *rig, n int, owned bool) {
	email, number := "nobody@x.org", "07400654321"
	if owned {
		email, number = "owner@x.org", "07400123456"
	}
	secret := fmt.Sprint("s", n)
	body := fmt.Sprintf(`{"client_secret":%q,"email":%q,"send_attempt":1}`, secret, email)
	if h.medium == threepid.MSISDN {
		body = phoneBody(secret, "GB", number, 1)
	}
	wantStatus(r.t, r.do("POST", "/_matrix/client/v3/"+h.purpose+"/"+string(h.medium)+"/requestToken", body), http.StatusOK)
}

// pair asks about both at the same moment, and tells how long either answer took.
func (h hiding) pair(r *rig, n int) (granted, refused time.Duration) {
	start := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() { h.ask(r, 2*n, !h.owned); granted = time.Since(start) })
	wg.Go(func() { h.ask(r, 2*n+1, h.owned); refused = time.Since(start) })
	wg.Wait()
	return granted, refused
}

// TestF15_DecoyTakesAsLong: of two requests that begin at the same moment, one of
// which the homeserver grants and one of which it refuses, both are answered at the
// same moment, to the nanosecond: at the end of one step, whatever the homeserver
// and its callback took, up to what the step has room for. When they begin, and what
// was slow before, decides about the step, and nothing else.
func TestF15_DecoyTakesAsLong(t *testing.T) {
	for _, h := range hidings {
		synctest.Test(t, func(t *testing.T) {
			j := &hops{rnd: rand.New(rand.NewPCG(1, 2))}
			r := timed(t, j, 0)
			steps := map[time.Duration]int{}
			for n := range 120 {
				// The whole of it is less than the shortest step; later on it may be
				// less than the one that has been reached, and still is for an hour.
				j.max = leastStep / 4
				if n >= 50 {
					j.max = leastStep / 2
				}
				granted, refused := h.pair(r, n)
				if granted != refused || granted%leastStep != 0 {
					t.Fatalf("%v: pair %d: answered after %s and %s, want the same step", h, n, granted, refused)
				}
				steps[granted]++
				time.Sleep(time.Duration(n) * 7 * time.Millisecond)
			}
			if len(steps) < 2 {
				t.Errorf("%v: got the steps %v, want the slower answers to have made them longer", h, steps)
			}
		})
	}
}

// TestF15_WithoutPaceADecoyIsFaster: the comparison finds the callback if it is not
// hidden.
func TestF15_WithoutPaceADecoyIsFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := timed(t, &hops{rnd: rand.New(rand.NewPCG(1, 2)), max: 100 * time.Millisecond}, -1)
		var granted, refused time.Duration
		for n := range 100 {
			a, b := hidings[0].pair(r, n)
			granted, refused = granted+a, refused+b
		}
		if granted < refused*5/4 {
			t.Errorf("got %s and %s in all: the comparison does not see a callback; it would not see anything else", granted, refused)
		}
	})
}
