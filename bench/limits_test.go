// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

// noOutbox sends nothing, so that nothing but the requests is measured.
type noOutbox struct{}

func (noOutbox) Put(txn store.Txn, m verification.Message) error {
	return txn.Set("o/"+m.ID, make([]byte, 300), m.Expires)
}
func (noOutbox) Wake(store.Partition, string) {}

// BenchmarkLimits is what the limits add to a request without its HTTP.
func BenchmarkLimits(b *testing.B) {
	on := ratelimit.Presets[ratelimit.Community]
	for _, rate := range on.Rates() {
		*rate = ratelimit.Limit{Burst: 1 << 30, Per: time.Hour}
	}
	for _, c := range []struct {
		name   string
		limits ratelimit.Preset
	}{{"off", ratelimit.Preset{}}, {"all", on}} {
		b.Run(c.name, func(b *testing.B) {
			s, err := badgerstore.Open(badgerstore.Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			keys, err := keyring.New(keyring.Key{ID: 1, Secret: make([]byte, keyring.SecretSize)})
			if err != nil {
				b.Fatal(err)
			}
			svc, err := verification.NewService(verification.Config{
				Store: s, Keys: keys, Outbox: noOutbox{},
				Preset: c.limits,
			})
			if err != nil {
				b.Fatal(err)
			}
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range tokenWorkers {
				wg.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						_, err := svc.RequestToken(b.Context(), verification.Request{
							Purpose: threepid.Register, ThreePID: threepid.ThreePID{Medium: threepid.Email, Address: fmt.Sprintf("reader%d@host%d.test", n, n%20)},
							ClientSecret: threepid.ClientSecret(fmt.Sprint("secret", n)), SendAttempt: 1, Domain: fmt.Sprintf("host%d.test", n%20),
							Client: netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}),
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
