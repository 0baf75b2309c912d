// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/twosample"
)

// TestF15_TimeBeforeSynapse: requests that a real Synapse grants and those that it
// refuses, for a registration and for a reset, are held until the shortest step of
// ADR 16 is over; neither takes as long by itself. The address that is refused for
// the one is granted for the other. Whether more can be told from the times is what
// `make timing` judges, on a machine that has nothing else to do.
func TestF15_TimeBeforeSynapse(t *testing.T) {
	if unavailable != nil {
		t.Skipf("NOT PROVEN HERE: the end-to-end tests need Synapse 1.3.1 and Sydent: %v", unavailable)
	}
	const pairs, clients, step = 12, 6, 400 * time.Millisecond
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
		granted, refused, err := twosample.Interleave(pairs, clients, request(tt.purpose, tt.granted), request(tt.purpose, tt.refused))
		if err != nil {
			t.Fatal(err)
		}
		for i := range pairs {
			if granted[i] < step || refused[i] < step {
				t.Errorf("%s: pair %d: answered after %s and %s, want no less than %s", tt.purpose, i, granted[i], refused[i], step)
			}
		}
	}
}
