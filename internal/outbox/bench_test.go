// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	transport "github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
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
				for n := range sealed.Partitions {
					o.search(o.now(), sealed.PartitionName(n), map[ref]bool{})
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

// BenchmarkMailsThroughTLS is the whole way of a mail out of the outbox: found
// in a synced database, claimed, worded, sent to a server on loopback over
// pooled TLS connections, noted as sent. The issue of delivery asks for 500 a
// second on two cores. The server shares them.
func BenchmarkMailsThroughTLS(b *testing.B) {
	server, err := smtptest.Start(smtptest.Options{Mode: smtptest.STARTTLS})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	smtp, err := transport.NewSMTP(transport.SMTPConfig{
		Address: server.Addr(), TLS: transport.STARTTLS, RootCAs: server.CertPool(), HELO: "client.example.org",
	})
	if err != nil {
		b.Fatal(err)
	}
	defer smtp.Close()
	words, err := words.New("matrix.example.org")
	if err != nil {
		b.Fatal(err)
	}
	o := benchOutbox(b)
	o.own.MaxQueued = b.N + 1
	o.SetSender(threepid.Email, &MailSender{
		From: "Example <noreply@mail.example.org>", Transport: smtp, Templates: words, Keys: o.cfg.Keys,
		Link: func(sid threepid.SID, token threepid.Token) string {
			return "https://matrix.example.org/confirm?sid=" + string(sid) + "&token=" + string(token)
		},
		Refuse: func(sid threepid.SID, refusal threepid.RefusalToken) string {
			return "https://matrix.example.org/refuse?sid=" + string(sid) + "&r=" + string(refusal)
		},
	})
	benchPut(b, o, b.N)
	b.ResetTimer()
	o.Start()
	if _, err := server.Wait(b.Context(), b.N); err != nil {
		b.Fatal(err)
	}
	if err := o.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
	b.ReportMetric(float64(server.Connections()), "connections")
}

// BenchmarkRequestBesideRelay is how long a message takes to be committed while
// the outbox is busy with a relay that takes no time, and one that takes five
// seconds for each mail. The issue of delivery wants their medians to be within
// 1.2 of each other.
func BenchmarkRequestBesideRelay(b *testing.B) {
	for name, takes := range map[string]time.Duration{"fast": 0, "slow": 5 * time.Second} {
		b.Run(name, func(b *testing.B) {
			o := benchOutbox(b)
			o.own.MaxQueued = b.N + 1
			o.SetSender(threepid.Email, senderFunc(func(ctx context.Context, _ verification.Message) error {
				if takes == 0 {
					return nil
				}
				select {
				case <-time.After(takes):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}))
			o.Start()
			took := make([]time.Duration, b.N)
			b.ResetTimer()
			for i := range b.N {
				m := message(i)
				start := time.Now()
				err := o.cfg.Store.Update(b.Context(), partitionOf(m.ID), func(txn store.Txn) error { return o.Put(txn, m) })
				if err != nil {
					b.Fatal(err)
				}
				took[i] = time.Since(start)
				o.Wake(partitionOf(m.ID), m.ID)
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[b.N/2].Microseconds()), "median-us")
			ended, cancel := context.WithCancel(b.Context())
			cancel()
			_ = o.Stop(ended) // what is being sent is cut off
		})
	}
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
		Transports: Transports{Senders: map[threepid.Medium]Sender{threepid.Email: senderFunc(
			func(context.Context, verification.Message) error { return nil })}},
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
	const workers = DefaultWorkers * (1 + ahead)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				m := message(i)
				key, _ := verification.OutboxKey(m.ID)
				o.deliver(o.now(), ref{store.Partition(m.ID[:2]), key})
			}
		})
	}
	wg.Wait()
}
