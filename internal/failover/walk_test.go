// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// double is a peer that does as a test says.
type double struct {
	slots chan struct{} // nil: there is room for everybody
	out   Outcome
	meets func(Attempt)
	asked int
}

// letter is a message to doubles.
type letter struct{}

func (letter) Place(ctx context.Context, to *Peer[*double]) (leave func(), o Outcome) {
	if to.Via.slots == nil {
		return func() {}, Outcome{}
	}
	select {
	case to.Via.slots <- struct{}{}:
		return func() { <-to.Via.slots }, Outcome{}
	case <-ctx.Done():
		return nil, Outcome{Err: errBusy, Elsewhere: true, Verdict: Unknown}
	}
}

func (letter) Send(_ context.Context, to *Peer[*double], a Attempt) Outcome {
	to.Via.asked++
	if to.Via.meets != nil {
		to.Via.meets(a)
	}
	return to.Via.out
}

var (
	errBusy = errors.New("busy")
	broken  = Outcome{Err: errors.New("broken"), Verdict: Broken, Elsewhere: true, Temporary: true, Fault: "it broke", Missed: true}
	refused = Outcome{Err: errors.New("refused"), Verdict: Healthy, Missed: true}
	odd     = Outcome{Err: errors.New("odd"), Verdict: Unknown, Elsewhere: true}
)

// peers makes some of doubles, with a breaker that opens at once.
func peers(t *testing.T, cfg Config, doubles ...*double) []*Peer[*double] {
	t.Helper()
	cfg.Threshold, cfg.Delay = 1, time.Minute
	cfg, err := cfg.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	var all []*Peer[*double]
	for i, d := range doubles {
		all = append(all, NewPeer(string(rune('a'+i)), d, cfg))
	}
	return all
}

// TestAProbeDoesNotWaitForItsPlace: until it has one, the breaker is not half open.
func TestAProbeDoesNotWaitForItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &double{out: broken, slots: make(chan struct{}, 1)}
		order := peers(t, Config{}, first)
		_ = Walk(t.Context(), order, letter{})
		time.Sleep(time.Minute)
		first.slots <- struct{}{} // somebody has the only place
		probe := make(chan error)
		go func() { probe <- Walk(t.Context(), order, letter{}) }()
		synctest.Wait()
		if state := order[0].Status().State; state != Open {
			t.Errorf("the breaker is %s while its probe waits", state)
		}
		first.out = Outcome{}
		<-first.slots
		if err := <-probe; err != nil || order[0].Status().State != Closed {
			t.Errorf("the probe came to %v, and the breaker is %s", err, order[0].Status().State)
		}
	})
}

// TestNobodyWaitsForAPlaceInVain: neither with a peer that is left alone, nor after it has
// come to be so meanwhile.
func TestNobodyWaitsForAPlaceInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &double{out: broken, slots: make(chan struct{}, 1)}, &double{}
		order := peers(t, Config{}, first, second)
		first.slots <- struct{}{}
		done := make(chan error)
		go func() { done <- Walk(t.Context(), order, letter{}) }()
		synctest.Wait()
		p, _, _ := order[0].breaker.admit(time.Now())
		order[0].breaker.done(p, Broken, time.Now()) // what the other one came to
		<-first.slots
		if err := <-done; err != nil || first.asked != 0 || second.asked != 1 {
			t.Errorf("got %v, and %d and %d were asked, want the second only", err, first.asked, second.asked)
		}
		first.slots <- struct{}{}
		if err := Walk(t.Context(), order, letter{}); err != nil || second.asked != 2 {
			t.Errorf("got %v, and the second was asked %d times, want 2", err, second.asked)
		}
	})
}

// TestAPlaceIsGivenBack whatever happens, and nobody is in flight then.
func TestAPlaceIsGivenBack(t *testing.T) {
	one := &double{slots: make(chan struct{}, 1), meets: func(Attempt) { panic("gossip") }}
	order := peers(t, Config{}, one)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed: nobody knows how far it got")
			}
		}()
		_ = Walk(t.Context(), order, letter{})
	}()
	if got := order[0].Status(); len(one.slots) != 0 || got.InFlight != 0 || got.State != Closed {
		t.Errorf("got %+v with %d places taken", got, len(one.slots))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	one.slots <- struct{}{}
	if err := Walk(ctx, order, letter{}); !errors.Is(err, errBusy) || order[0].Status().Failed != 1 {
		t.Errorf("got %v and %+v, want it noted that there was no place", err, order[0].Status())
	}
}

// TestAProbeThatWorksLetsOthersThrough before it is over.
func TestAProbeThatWorksLetsOthersThrough(t *testing.T) {
	now := time.Unix(0, 0)
	var changes []string
	one := &double{out: broken}
	order := peers(t, Config{Now: func() time.Time { return now }, OnChange: func(s Status) { changes = append(changes, s.State) }}, one)
	_ = Walk(t.Context(), order, letter{})
	now = now.Add(time.Minute)
	one.meets = func(a Attempt) {
		if a.Works(); !a.Probe || order[0].Status().State != Closed {
			t.Errorf("probe %t, and the breaker is %s", a.Probe, order[0].Status().State)
		}
	}
	_ = Walk(t.Context(), order, letter{})
	if got, want := strings.Join(changes, " "), "open half-open closed"; got != want {
		t.Errorf("got changes %s, want %s: the end of the probe says nothing more", got, want)
	}
}

// TestTheErrorThatHelpsMostIsTold, and what is settled is settled.
func TestTheErrorThatHelpsMostIsTold(t *testing.T) {
	for _, tt := range []struct {
		outcomes []Outcome
		want     error
		asked    int // the last one
	}{
		{[]Outcome{broken, odd}, broken.Err, 1},
		{[]Outcome{odd, broken}, broken.Err, 1},
		{[]Outcome{odd, odd}, odd.Err, 1},
		{[]Outcome{refused, {}}, refused.Err, 0},
		{[]Outcome{broken, {}}, nil, 1},
	} {
		first, last := &double{out: tt.outcomes[0]}, &double{out: tt.outcomes[1]}
		if err := Walk(t.Context(), peers(t, Config{}, first, last), letter{}); !errors.Is(err, tt.want) || last.asked != tt.asked {
			t.Errorf("%v: got %v, and the last was asked %d times", tt.outcomes, err, last.asked)
		}
	}
}

// TestWhoComesLateHasNotFailed: another one has used up its time, and nobody else is asked.
func TestWhoComesLateHasNotFailed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	first, late, never := &double{out: broken}, &double{out: broken, meets: func(Attempt) { cancel() }}, &double{}
	order := peers(t, Config{}, first, late, never)
	if err := Walk(ctx, order, letter{}); !errors.Is(err, broken.Err) {
		t.Errorf("got %v", err)
	}
	if got := order[1].Status(); got.State != Closed || got.Failed != 1 || got.LastError != "" || never.asked != 0 {
		t.Errorf("got %+v, and %d more were asked", got, never.asked)
	}
}

// TestTheFirstPeerToComeBackIsWaitedFor, whichever it is, by the clock that is given.
func TestTheFirstPeerToComeBackIsWaitedFor(t *testing.T) {
	for _, early := range []int{0, 1} {
		now := time.Unix(1000, 0)
		all := []*double{{out: broken}, {out: broken}}
		order := peers(t, Config{MaxDelay: time.Hour, Now: func() time.Time { return now }}, all...)
		for range 4 { // the other one is left alone for longer and longer
			_ = Walk(t.Context(), order[1-early:2-early], letter{})
			now = order[1-early].Status().RetryAt
		}
		_ = Walk(t.Context(), order, letter{})
		asked := all[early].asked
		err := Walk(t.Context(), order, letter{})
		if alone, ok := errors.AsType[*LeftAloneError](err); !ok || alone.For < 30*time.Second || alone.For > time.Minute || all[early].asked != asked {
			t.Errorf("peer %d: got %v, want half a minute to one", early, err)
		}
	}
}

// TestAPeerIsFailing when it has a fault after its last success, or misses many in a row.
func TestAPeerIsFailing(t *testing.T) {
	one := &double{}
	order := peers(t, Config{}, one)
	for i, o := range []Outcome{{}, refused, refused, refused, refused, refused, {}, {Err: errBusy, Unasked: true, Missed: true, Fault: "none of its own"}, broken} {
		one.out = o
		_ = Walk(t.Context(), order, letter{})
		if got, want := order[0].Status().Failing(), i == 5 || i == 8; got != want {
			t.Errorf("after %d messages: failing %t, want %t", i+1, got, want)
		}
	}
	want := Status{Name: "a", State: Open, LastError: "it broke", Sent: 2, Refused: 5, Failed: 1, InARow: 1}
	got := order[0].Status()
	got.LastErrorAt, got.LastSuccess, got.RetryAt = time.Time{}, time.Time{}, time.Time{}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
