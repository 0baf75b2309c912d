// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
)

// TestF8_ConcurrentRequests: however many requests for the same purpose,
// secret and address arrive at once, they share one sid, and every
// send_attempt sends once at most.
func TestF8_ConcurrentRequests(t *testing.T) {
	t.Run("one attempt", func(t *testing.T) { concurrentRequests(t, 1) })
	t.Run("attempts in any order", func(t *testing.T) { concurrentRequests(t, 5) })
}

func concurrentRequests(t *testing.T, attempts int64) {
	f := newFixture(t)
	var (
		mu    sync.Mutex
		sids  = map[string]int{}
		sends = map[int64]int{}
	)
	together(100, func(i int) {
		n := int64(i)%attempts + 1
		got, err := f.RequestToken(bg, ask(attempt(n)))
		if err != nil {
			t.Errorf("RequestToken: %v", err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		sids[string(got.SID)]++
		if got.Sent {
			sends[n]++
		}
	})
	if len(sids) != 1 {
		t.Errorf("%d sids, want 1", len(sids))
	}
	total := 0
	for n, count := range sends {
		total += count
		if count != 1 {
			t.Errorf("send_attempt %d was sent %d times", n, count)
		}
	}
	if sends[attempts] != 1 {
		t.Errorf("the highest send_attempt was sent %d times, want once", sends[attempts])
	}
	messages := f.outbox.messages()
	if len(messages) != total {
		t.Errorf("%d messages in the outbox, %d were reported", len(messages), total)
	}
	ids, tokens := map[string]bool{}, map[string]bool{}
	for _, m := range messages {
		ids[m.ID], tokens[string(m.Token)] = true, true
		if sids[string(m.SID)] == 0 {
			t.Errorf("a message for session %q, which nobody was told of", m.SID)
		}
	}
	if len(ids) != total || len(tokens) != total {
		t.Errorf("%d messages have %d ids and %d tokens", total, len(ids), len(tokens))
	}
	if len(f.outbox.faults) != 0 {
		t.Errorf("outbox: %v", f.outbox.faults)
	}
	if n := f.watcher.count("register email pending"); n != 1 {
		t.Errorf("%d sessions were counted, want 1", n)
	}
}

// TestCallbackOnce: a homeserver that calls back many times at once gets one
// session and one message.
func TestCallbackOnce(t *testing.T) {
	f := newFixture(t)
	req := ask()
	nonce := f.await(req)
	var (
		mu   sync.Mutex
		sids = map[string]int{}
		sent atomic.Int32
	)
	together(100, func(int) {
		got, err := f.Callback(bg, nonce, req.ThreePID)
		if err != nil {
			t.Errorf("Callback: %v", err)
			return
		}
		if got.Sent {
			sent.Add(1)
		}
		mu.Lock()
		defer mu.Unlock()
		sids[string(got.SID)]++
	})
	if len(sids) != 1 || sent.Load() != 1 || len(f.outbox.messages()) != 1 {
		t.Errorf("%d sids, %d reported as sent, %d messages; want 1 of each", len(sids), sent.Load(), len(f.outbox.messages()))
	}
	if got := f.settle(nonce); sids[string(got.SID)] != 100 || !got.Sent {
		t.Errorf("Settle = %+v, the homeserver was told %v", got, sids)
	}
}

// TestF21_ConcurrentLimit: a burst at one moment passes no more than Burst.
func TestF21_ConcurrentLimit(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PerAddress = ratelimit.Limit{Burst: 9, Per: 3600e9} })
	var passed, refused atomic.Int32
	together(100, func(i int) {
		_, err := f.RequestToken(bg, ask(secret(fmt.Sprint(i))))
		var limit *LimitError
		switch {
		case err == nil:
			passed.Add(1)
		case errors.As(err, &limit):
			refused.Add(1)
		default:
			t.Errorf("RequestToken: %v", err)
		}
	})
	if passed.Load() != 9 || refused.Load() != 91 {
		t.Errorf("%d passed, %d refused; want 9 and 91", passed.Load(), refused.Load())
	}
}
