// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlowOnesTakeTurnsToWait: where there is room for one slow mail besides, the
// next slow one steps aside as soon as that room is free, and keeps nobody waiting
// for longer.
func TestSlowOnesTakeTurnsToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots, waiting := make(chan struct{}, 1), make(chan struct{}, 1)
		admit := func() *place {
			slots <- struct{}{}
			return &place{leave: sync.OnceFunc(func() { <-slots }), waiting: waiting, done: make(chan struct{})}
		}
		first := admit()
		first.step()
		second := admit()
		go second.step()
		synctest.Wait()
		if len(slots) != 1 {
			t.Fatal("the second has left, without room to wait in")
		}
		first.end()
		synctest.Wait()
		if len(slots) != 0 || len(waiting) != 1 {
			t.Fatalf("%d places are taken and %d wait beside, want only the second, beside", len(slots), len(waiting))
		}
		third := admit()
		go third.step() // there is no room, until it has ended itself
		synctest.Wait()
		third.end()
		second.end()
		synctest.Wait()
		if len(slots) != 0 || len(waiting) != 0 {
			t.Errorf("%d places are taken and %d wait beside when all have ended", len(slots), len(waiting))
		}
		for range 50 { // a select between two ready cases picks any
			late := admit()
			late.end()
			if late.step(); len(slots) != 0 || len(waiting) != 0 {
				t.Fatalf("%d places are taken and %d wait beside after one that was slow at its end", len(slots), len(waiting))
			}
		}
	})
}

// handOver sends a mail in the background, with patience, and returns its end.
func handOver(ctx context.Context, s *SMTP, p Patience) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Send(WithPatience(ctx, p), sender, reader, []byte("x\r\n")) }()
	return done
}

// TestAnswerThatTakesItsTime is waited for although the time of the delivery is over,
// while others are sent; and it says whether the mail was taken.
func TestAnswerThatTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		b := &bubble{final: "250 taken\r\n", hold: hold}
		s := b.transport(t, SMTPConfig{MaxConnections: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 2*DefaultSlow)
		defer cancel()
		start := time.Now()
		var slow atomic.Int64 // after how long it was told
		first := handOver(ctx, s, Patience{Live: t.Context(), Slow: func() { slow.Store(int64(time.Since(start))) }})
		synctest.Wait()
		b.mu.Lock()
		b.hold = nil
		b.mu.Unlock()
		second := handOver(ctx, s, Patience{})
		time.Sleep(DefaultSlow - 1)
		if b.count("DATA") != 1 || slow.Load() != 0 {
			t.Errorf("%d are sent over one connection, slow after %d", b.count("DATA"), slow.Load())
		}
		if err := <-second; err != nil || slow.Load() != int64(DefaultSlow) || b.dials != 2 {
			t.Errorf("the second: %v over %d connections, the first was slow after %d", err, b.dials, slow.Load())
		}
		time.Sleep(DefaultHandoverTimeout / 2)
		close(hold)
		if err := <-first; err != nil || len(s.slots) != 0 || len(s.waiting) != 0 {
			t.Errorf("the first: %v, %d places are taken and %d wait beside", err, len(s.slots), len(s.waiting))
		}
		slow.Store(0)
		if err := <-handOver(t.Context(), s, Patience{Slow: func() { slow.Store(1) }}); err != nil {
			t.Error(err)
		}
		if time.Sleep(time.Minute); slow.Load() != 0 {
			t.Error("it was slow after its end")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestAnswerThatDoesNotCome leaves open what became of the mail: after its own limit,
// when whoever waits is stopped, and when there is no patience.
func TestAnswerThatDoesNotCome(t *testing.T) {
	for name, tt := range map[string]struct {
		patient bool
		stop    time.Duration
		after   time.Duration
		reason  string
	}{
		"for ever": {true, 0, DefaultHandoverTimeout, ReasonTimeout}, "stopped": {true, time.Minute, time.Minute, ReasonInterrupted},
		"without patience": {false, time.Second, time.Second, ReasonInterrupted},
	} {
		synctest.Test(t, func(t *testing.T) {
			hold := make(chan struct{})
			b := &bubble{final: "250 taken\r\n", hold: hold}
			s := b.transport(t, SMTPConfig{})
			live, stop := context.WithCancel(t.Context())
			defer stop()
			if tt.stop != 0 {
				time.AfterFunc(tt.stop, stop)
			}
			start, p := time.Now(), Patience{}
			ctx := live
			if tt.patient {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				p.Live = live
			}
			err := <-handOver(ctx, s, p)
			got, ok := errors.AsType[*SendError](err)
			if !ok || !got.Uncertain() || !got.Temporary() || got.Operator() || got.Reason != tt.reason || got.Stage != "data" ||
				!strings.HasSuffix(got.Detail, "; the relay has the whole mail") || time.Since(start) != tt.after {
				t.Errorf("%s: got %v (%s) after %s, want an uncertain %s after %s", name, err, got.Reason, time.Since(start), tt.reason, tt.after)
			}
			if len(s.idle) != 0 || len(s.slots) != 0 {
				t.Errorf("%s: %d connections are kept and %d places taken", name, len(s.idle), len(s.slots))
			}
			close(hold)
		})
	}
}

// TestOnlyAClearNoIsOne: whatever else is said after the text may have meant yes.
func TestOnlyAClearNoIsOne(t *testing.T) {
	for final, want := range map[string]struct {
		reason    string
		code      int
		uncertain bool
	}{
		"451 later\r\n": {ReasonDeferred, 451, false}, "554 no\r\n": {ReasonMessage, 554, false}, "499 hm\r\n": {ReasonDeferred, 499, false},
		"354 go\r\n": {ReasonReply, 0, true}, "taken\r\n": {ReasonReply, 0, true}, "": {ReasonLost, 0, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := &bubble{final: final}
			s := b.transport(t, SMTPConfig{})
			err := <-handOver(t.Context(), s, Patience{})
			got, ok := errors.AsType[*SendError](err)
			if !ok || got.Reason != want.reason || got.Code != want.code || got.Uncertain() != want.uncertain || got.Stage != "data" {
				t.Errorf("%q: got %v (%s, uncertain %t), want %+v", final, err, got.Reason, got.Uncertain(), want)
			}
			if kept := len(s.idle); (kept == 1) != !want.uncertain {
				t.Errorf("%q: %d connections are kept", final, kept)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
