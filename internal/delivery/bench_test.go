// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

// BenchmarkSweepEmpty is the cost of one round over all partitions when
// nothing waits, in a fresh database and in one where many messages were sent:
// Badger has to step over what was deleted.
func BenchmarkSweepEmpty(b *testing.B) {
	for name, sent := range map[string]int{"fresh": 0, "after10000": 10_000} {
		b.Run(name, func(b *testing.B) {
			o := benchOutbox(b)
			benchFill(b, o, sent)
			for b.Loop() {
				for n := range verification.Partitions {
					o.search(verification.PartitionName(n), map[ref]bool{})
				}
			}
		})
	}
}

// BenchmarkDeliver is the cost of a message apart from sending it: a claim and
// a settlement, both durable, by as many workers as there are by default.
func BenchmarkDeliver(b *testing.B) {
	o := benchOutbox(b)
	benchPut(b, o, b.N)
	b.ResetTimer()
	benchDeliver(o, b.N)
}

func benchOutbox(b *testing.B) *Outbox {
	b.Helper()
	s, err := badgerstore.Open(badgerstore.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() }) // the folder goes with it
	return New(Config{
		Store: s, Keys: testKeys(b, 1),
		Senders: map[verification.Medium]Sender{verification.Email: senderFunc(
			func(context.Context, verification.Message) error { return nil })},
	})
}

func benchFill(b *testing.B, o *Outbox, n int) {
	b.Helper()
	benchPut(b, o, n)
	benchDeliver(o, n)
}

func benchPut(b *testing.B, o *Outbox, n int) {
	b.Helper()
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := w; i < n; i += 64 {
				m := message(i)
				err := o.cfg.Store.Update(context.Background(), store.Partition(m.ID[:2]), func(txn store.Txn) error { return o.Put(txn, m) })
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func benchDeliver(o *Outbox, n int) {
	var wg sync.WaitGroup
	for w := range DefaultWorkers {
		wg.Go(func() {
			for i := w; i < n; i += DefaultWorkers {
				m := message(i)
				key, _ := keyOf(m.ID)
				o.deliver(ref{store.Partition(m.ID[:2]), key})
			}
		})
	}
	wg.Wait()
}
