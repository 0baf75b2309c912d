// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"fmt"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
)

// TestAdvisory11_AbandonedSessionsGo: Synapse CVE-2021-21394 filled disks with
// what nobody came back for. Only bindings stay, and those are bounded.
func TestAdvisory11_AbandonedSessionsGo(t *testing.T) {
	f := newFixture(t)
	for i := range 500 {
		f.open(ask(func(r *Request) { r.Address = fmt.Sprintf("a%d@example.com", i) }))
	}
	f.clock.Advance(2*MaxLifetime + MaxLifetime/2)
	for _, kind := range []*sealed.Kind{kindSession, kindIndex, kindNonce, kindAlias, kindLimit, kindForeign} {
		if got := f.entries(kind); got != 0 {
			t.Errorf("got %d entries of kind %s left, want none", got, kind.Key(""))
		}
	}
}
