// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"bytes"
	"fmt"
	"net/mail"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	transport "github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// post is an outbox with a real transport to a double, and a clock that leaps
// from one try to the next.
type post struct {
	*rig
	outbox *Outbox
	relays *transport.Relays
	double *smtptest.Double
	clock  *storetest.Clock
}

func newPost(t *testing.T, b behaviour) *post {
	t.Helper()
	double, err := smtptest.StartDouble(b.script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(double.Close)
	cfg := transport.SMTPConfig{Address: double.Addr(), TLS: transport.NoTLS, MaxConnections: 1, Slow: time.Millisecond}
	if b.limit > 0 {
		cfg.Timeout, cfg.HandoverTimeout, cfg.Slow = b.limit, b.limit, time.Minute
	}
	smtp, err := transport.NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &post{rig: newRig(t), double: double, clock: storetest.NewClock(time.Now())}
	p.store = storetest.NewMemory(p.clock.Now)
	p.relays, err = transport.NewRelays([]transport.Relay{{Name: "double", Transport: smtp}}, failover.Config{Now: p.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.relays.Close() })
	p.outbox = p.rig.outbox(newMailSender(t, p.relays), oneWorker, func(c *Config) { c.Now = p.clock.Now })
	return p
}

// send works on a message until it is gone, and counts the tries.
func (p *post) send(m verification.Message) {
	p.Helper()
	at := p.put(p.outbox, m)
	for range 200 {
		p.outbox.deliver(p.outbox.now(), at)
		p.double.Release() // of a slow one, the worker has gone on
		p.outbox.wg.Wait()
		if p.stored() == 0 {
			return
		}
		p.clock.Advance(5 * time.Second)
	}
	for range 200 {
		p.outbox.deliver(p.outbox.now(), at)
		p.outbox.wg.Wait()
		if p.stored() == 0 {
			return
		}
		p.clock.Advance(time.Minute)
	}
	p.Fatal("the message is still there")
}

func (p *post) ids() []string {
	var ids []string
	for _, raw := range p.double.Taken() {
		m, err := mail.ReadMessage(bytes.NewReader([]byte(raw)))
		if err != nil {
			p.Fatal(err)
		}
		ids = append(ids, m.Header.Get("Message-Id"))
	}
	return ids
}

// posted is after one mail. A time limit that the machine itself was too slow for says
// nothing of the relay, and a longer one is tried.
func posted(t *testing.T, b behaviour) *post {
	t.Helper()
	for ; ; b.limit *= 4 {
		p := newPost(t, b)
		m := message(1)
		if b.limit > 0 { // each try takes its time
			m.Expires = m.Created.Add(10 * time.Minute)
		}
		p.send(m)
		if b.limit == 0 || p.double.Left() == 0 {
			return p
		}
	}
}

// TestCopiesOfAMailForEveryRelay: however a relay behaves, nobody gets a mail
// twice unless the standard leaves open whether it was taken, and then twice at
// most, under one Message-ID; and that never closes the relay to others.
func TestCopiesOfAMailForEveryRelay(t *testing.T) {
	all := behaviours()
	if len(all) < 60 {
		t.Errorf("%d behaviours, want 60 at least", len(all))
	}
	var mu sync.Mutex
	table := map[string]string{}
	t.Run("relays", func(t *testing.T) {
		for _, b := range all {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				p := posted(t, b)
				events, ids := p.diary.all(), p.ids()
				last := events[len(events)-1]
				mu.Lock()
				table[b.name] = fmt.Sprintf("%d copies in %2d tries, %s", len(ids), last.Tries, last.Outcome)
				mu.Unlock()
				if len(ids) != b.copies || (b.ends != "" && last.Outcome != b.ends) {
					t.Errorf("got %d copies, and %s (%v), want %d, and %s", len(ids), last.Outcome, last.Err, b.copies, b.ends)
				}
				if len(ids) > 2 || len(ids) > 1 && !b.open || len(slices.Compact(ids)) > 1 {
					t.Errorf("got the copies %v", ids)
				}
				if state := p.relays.Status()[0].State; b.open && state != failover.Closed {
					t.Errorf("the relay is %s to others", state)
				}
			})
		}
	})
	for _, b := range all {
		t.Logf("%-50s %s", b.name, table[b.name])
	}
}
