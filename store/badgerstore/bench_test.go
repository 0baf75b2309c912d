// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// BenchmarkUpdate writes sessions of 300 bytes, each durable before its writer
// goes on, as so many concurrent requests do.
func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := openTest(b, Options{})
			value := make([]byte, 300)
			parallel(b, writers, func(n int64) error {
				return s.Update(context.Background(), spread(int(n)), func(tx store.Txn) error {
					return tx.Set("session", value, time.Now().Add(time.Hour))
				})
			})
		})
	}
}

// BenchmarkView reads sessions while 16 writers keep the committer busy.
func BenchmarkView(b *testing.B) {
	for _, writers := range []int{0, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := openTest(b, Options{})
			write(b, s, "p", "key", "value", time.Time{})
			var stop atomic.Bool
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for !stop.Load() {
						write(b, s, store.Partition(fmt.Sprint(w)), "key", "value", time.Time{})
					}
				})
			}
			parallel(b, 16, func(int64) error {
				return s.View(context.Background(), "p", func(tx store.Txn) error {
					_, err := tx.Get("key")
					return err
				})
			})
			stop.Store(true)
			wg.Wait()
		})
	}
}

// parallel calls fn b.N times from so many goroutines.
func parallel(b *testing.B, goroutines int, fn func(n int64) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range goroutines {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := fn(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}
