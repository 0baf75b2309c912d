// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/stack"
	"github.com/caddy-threepid/caddy-threepid/internal/twosample"
)

// TestF15_TimeBeforeSynapse compares the times of requests that a real Synapse
// grants and refuses, for a registration and for a reset: the address that is
// refused for the one is granted for the other.
func TestF15_TimeBeforeSynapse(t *testing.T) {
	if unavailable != nil {
		t.Skipf("NOT PROVEN HERE: the end-to-end tests need Synapse 1.3.1 and Sydent: %v", unavailable)
	}
	s := shared["callback"]
	w := &world{t: t, s: s, c: s.Client(), callback: true}
	name := unique("timed")
	owned, free := name+"@example.test", unique("free")+"@example.test"
	w.register(name, owned)
	var asked atomic.Int64
	request := func(purpose, email string) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			start := time.Now()
			a, err := w.c.Do(t.Context(), "POST", "/_matrix/client/r0/"+purpose+"/email/requestToken", "",
				stack.Object{"client_secret": fmt.Sprint("t", asked.Add(1)), "email": email, "send_attempt": 1})
			if err == nil && a.Status != http.StatusOK {
				err = fmt.Errorf("got %d %s, want 200", a.Status, a.Body)
			}
			return time.Since(start), err
		}
	}
	for _, tt := range []struct{ purpose, granted, refused string }{
		{"register", free, owned}, {"account/password", owned, free},
	} {
		const pairs, clients, tries = 150, 6, 3
		compare := func(n int) twosample.Result {
			a, b, err := twosample.Interleave(n, clients, request(tt.purpose, tt.granted), request(tt.purpose, tt.refused))
			if err != nil {
				t.Fatal(err)
			}
			return twosample.Compare(a, b)
		}
		t.Logf("%s, until the pace is found: %s", tt.purpose, compare(10))
		for try := 1; ; try++ {
			got := compare(pairs)
			t.Logf("%s: %s", tt.purpose, got)
			if got.U > 0.01 && got.KS > 0.01 && math.Abs(got.Effect-0.5) < 0.1 {
				break
			}
			if try == tries {
				t.Errorf("%s: granted and refused requests can be told apart", tt.purpose)
				break
			}
		}
	}
}
