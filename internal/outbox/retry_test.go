// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestBackoff: the delay is never over its limit, grows up to the cap, and
// uses all of its range.
func TestBackoff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tries := rapid.IntRange(-1, 1<<30).Draw(t, "tries")
		left := time.Duration(rapid.Int64Range(0, int64(25*time.Hour)).Draw(t, "left"))
		source := rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "random")
		got := backoff(bytes.NewReader(source), tries, left)
		limit := backoffBase
		for range min(max(tries, 1)-1, 10) {
			limit = min(2*limit, backoffCap)
		}
		if limit = min(limit, left); got < 0 || got > limit {
			t.Fatalf("backoff = %s, want within [0, %s]", got, limit)
		}
		if limit > 0 && (got == limit) != (len(source) < 8) {
			t.Fatalf("backoff = %s of %s with %d bytes of randomness, want the limit only without", got, limit, len(source))
		}
	})
	var low, high int
	for range 1000 {
		switch d := backoff(rand.Reader, 7, time.Hour); {
		case d < backoffCap/10:
			low++
		case d > backoffCap-backoffCap/10:
			high++
		}
	}
	if low < 30 || high < 30 {
		t.Errorf("of 1000 delays %d are in the lowest tenth and %d in the highest, want about 100 each", low, high)
	}
}

// maximal is randomness that always draws the most.
type maximal struct{}

func (maximal) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{0xff}, len(p))), nil }

// TestBackoffInsideTheTokensLife: tries come further and further apart, none
// after the token's end, and then the message is given up; also where not the
// relay is out of reach, but who would know whether the address wants any mail.
func TestBackoffInsideTheTokensLife(t *testing.T) {
	for name, fails := range map[string]func(c *Config, tried func()){
		"relay": func(c *Config, tried func()) {
			c.Senders[threepid.Email] = senderFunc(func(context.Context, verification.Message) error {
				tried()
				return sendError{text: "try later", temporary: true}
			})
		},
		"suppression list": func(c *Config, tried func()) {
			c.Suppressed = func(context.Context, verification.Message) (string, error) {
				tried()
				return "", errDiskFull
			}
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { backsOff(t, fails) }) })
	}
}

func backsOff(t *testing.T, fails func(c *Config, tried func())) {
	r, box := newRig(t), &mailbox{}
	var at []time.Time
	o := r.outbox(box, func(c *Config) {
		c.Random, c.Sweep = maximal{}, time.Second
		fails(c, func() { at = append(at, time.Now()) })
	})
	m := message(1)
	r.put(o, m)
	o.Start()
	time.Sleep(2 * time.Hour)
	r.stop(o)
	wantSends(t, box, 0, 0)
	if len(at) < 12 {
		t.Fatalf("%d tries in one hour, want at least a dozen", len(at))
	}
	limits := []int{5, 10, 20, 40, 80, 160, 300, 300}
	for i, seconds := range limits {
		limit := time.Duration(seconds) * time.Second
		gap := at[i+1].Sub(at[i])
		if gap > limit+time.Second || gap < limit-(limit/2) {
			t.Errorf("gap %d is %s, want at most %s and no less than half of it", i, gap, limit)
		}
	}
	if last := at[len(at)-1]; !last.Before(m.Expires) {
		t.Error("it was tried after its token's end")
	}
	events := r.diary.all()
	for i, e := range events {
		if want := i == len(events)-1; (e.Outcome == Expired) != want || (e.Outcome == Deferred) == want {
			t.Errorf("event %d is %q", i, e.Outcome)
		}
		if e.Outcome == Deferred && e.Tries != i+1 {
			t.Errorf("event %d counts %d tries", i, e.Tries)
		}
	}
	if len(events) < 12 || len(events) > 40 {
		t.Errorf("%d events in one hour, want a dozen or two", len(events))
	}
	r.wantStored(0)
}

// TestNoTryForTheLastSeconds: a mail that would arrive as its link ends is not
// kept for another try.
func TestNoTryForTheLastSeconds(t *testing.T) {
	for left, want := range map[time.Duration]string{backoffBase - time.Millisecond: Expired, backoffBase: Deferred} {
		r := newRig(t)
		now := time.Now()
		o := r.outbox(nil, func(c *Config) { c.Now = func() time.Time { return now } })
		var e Event
		o.postpone(&record{Message: verification.Message{Expires: now.Add(left + time.Hour)}}, &e, time.Hour)
		if e.Outcome != want {
			t.Errorf("with %s left: %s, want %s", left, e.Outcome, want)
		}
		want = map[string]string{Expired: Uncertain, Deferred: Deferred}[want] // half of twice that is left
		if o.onceMore(&record{Message: verification.Message{Expires: now.Add(2 * left)}}, &e); e.Outcome != want {
			t.Errorf("with %s left after it may have been sent: %s, want %s", 2*left, e.Outcome, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		box := &mailbox{fail: func(context.Context, verification.Message) error {
			return sendError{text: "try later", temporary: true}
		}}
		o := r.outbox(box, func(c *Config) { c.Sweep = 100 * time.Millisecond })
		m := message(1)
		m.Expires = m.Created.Add(backoffBase - time.Second)
		r.put(o, m)
		o.Start()
		synctest.Wait()
		r.wantOutcomes("expired")
		r.wantStored(0)
		r.stop(o)
		wantSends(t, box, 1, 1)
	})
}

// TestRelayComesBack: what was deferred is sent when the relay works again.
func TestRelayComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		up := time.Now().Add(10 * time.Minute)
		box := &mailbox{fail: func(context.Context, verification.Message) error {
			if time.Now().Before(up) {
				return sendError{text: "greylisted", temporary: true, operator: true}
			}
			return nil
		}}
		o := r.outbox(box)
		for n := range 50 {
			r.put(o, message(n))
		}
		o.Start()
		time.Sleep(40 * time.Minute)
		r.stop(o)
		r.wantStored(0)
		sent := 0
		for _, e := range r.diary.all() {
			switch {
			case e.Outcome == Sent:
				sent++
			case e.Outcome != Deferred || !e.Operator || e.Err == nil:
				t.Errorf("event = %+v, want deferred by the operator's sendError", e)
			}
		}
		if sent != 50 {
			t.Errorf("%d sent, want 50", sent)
		}
	})
}
