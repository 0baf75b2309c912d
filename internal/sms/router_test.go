// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
)

// scripted is a gateway that does what it is told.
type scripted struct {
	mu    sync.Mutex
	err   error
	took  time.Duration
	calls []Message
	panic bool
}

func (s *scripted) Send(ctx context.Context, m Message) (Accepted, error) {
	s.mu.Lock()
	s.calls = append(s.calls, m)
	took, err, panics := s.took, s.err, s.panic
	s.mu.Unlock()
	if panics {
		panic("gossip")
	}
	if took > 0 {
		select {
		case <-time.After(took):
		case <-ctx.Done():
			reason := ReasonTimeout
			if errors.Is(ctx.Err(), context.Canceled) {
				reason = ReasonInterrupted
			}
			return Accepted{}, &SendError{Reason: reason, Again: true, Unsure: true, Err: ctx.Err()}
		}
	}
	return Accepted{ID: "id"}, err
}

func (s *scripted) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *scripted) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// What gateways say.
var (
	down     = &SendError{Reason: ReasonRefused, Again: true}
	auth     = &SendError{Reason: ReasonAuth, Status: 401, Fault: true}
	rate     = &SendError{Reason: ReasonRate, Status: 429, Again: true, Wait: time.Minute}
	vanished = &SendError{Reason: ReasonLost, Again: true, Unsure: true}
	rejected = &SendError{Reason: ReasonRejected, Status: 400}
)

func breakerConfig(threshold int) failover.Config { return failover.Config{Threshold: threshold} }

func newRouter(t *testing.T, cfg RouterConfig) *Router {
	t.Helper()
	r, err := NewRouter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// route makes a router over gateways a, b, c with these outcomes.
func routeOver(t *testing.T, cfg RouterConfig, outcomes ...error) (*Router, []*scripted) {
	t.Helper()
	cfg.Gateways = map[string]Gateway{}
	var all []*scripted
	var order []string
	for i, err := range outcomes {
		name := string(rune('a' + i))
		one := &scripted{err: err}
		all, order = append(all, one), append(order, name)
		cfg.Gateways[name] = one
	}
	cfg.Routes = []Route{{Gateways: order}}
	return newRouter(t, cfg), all
}

func TestRouterFailsOver(t *testing.T) {
	for name, tt := range map[string]struct {
		outcomes []error
		calls    string
		gateway  string
		want     outcome
	}{
		"first takes it":         {[]error{nil, nil}, "10", "a", outcome{}},
		"down":                   {[]error{down, nil, nil}, "110", "b", outcome{}},
		"auth":                   {[]error{auth, nil}, "11", "b", outcome{}},
		"rate":                   {[]error{rate, nil}, "11", "b", outcome{}},
		"unsure":                 {[]error{vanished, nil}, "11", "b", outcome{}},
		"two of them":            {[]error{down, auth, nil}, "111", "c", outcome{}},
		"rejected":               {[]error{rejected, nil}, "10", "", outcome{reason: ReasonRejected, status: 400}},
		"down, rejected":         {[]error{down, rejected, nil}, "110", "", outcome{reason: ReasonRejected, status: 400}},
		"unsure, rejected":       {[]error{vanished, rejected}, "11", "", outcome{reason: ReasonRejected, status: 400, unsure: true}},
		"all down":               {[]error{down, down}, "11", "", outcome{reason: ReasonRefused, again: true}},
		"down, then auth":        {[]error{down, auth}, "11", "", outcome{reason: ReasonRefused, again: true}},
		"auth, then down":        {[]error{auth, down}, "11", "", outcome{reason: ReasonRefused, again: true}},
		"all auth":               {[]error{auth, auth}, "11", "", outcome{reason: ReasonAuth, status: 401, again: true, fault: true}},
		"unsure, then down":      {[]error{vanished, down}, "11", "", outcome{reason: ReasonRefused, again: true, unsure: true}},
		"only rate":              {[]error{rate}, "1", "", outcome{reason: ReasonRate, status: 429, again: true, wait: time.Minute}},
		"neither fault nor time": {[]error{&SendError{Reason: ReasonAnswer}, nil}, "10", "", outcome{reason: ReasonAnswer}},
		"interrupted":            {[]error{&SendError{Reason: ReasonInterrupted, Again: true}, nil}, "10", "", outcome{reason: ReasonInterrupted, again: true}},
	} {
		t.Run(name, func(t *testing.T) {
			r, all := routeOver(t, RouterConfig{}, tt.outcomes...)
			gateway, a, err := r.Send(t.Context(), "GB", message())
			calls := ""
			for _, one := range all {
				calls += string(rune('0' + one.count()))
			}
			if calls != tt.calls || gateway != tt.gateway {
				t.Errorf("got calls %s by %q, want %s by %q", calls, gateway, tt.calls, tt.gateway)
			}
			if tt.gateway != "" {
				if err != nil || a.ID != "id" {
					t.Errorf("got %+v, %v", a, err)
				}
				return
			}
			failed, ok := errors.AsType[*SendError](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if got := outcomeOf(failed); got != tt.want || failed.Gateway == "" {
				t.Errorf("got %+v by %q, want %+v", got, failed.Gateway, tt.want)
			}
		})
	}
	if auth.Again || auth.Gateway != "" {
		t.Error("a gateway's own error was changed")
	}
}

func TestRouterNeedsARoute(t *testing.T) {
	one := &scripted{}
	r := newRouter(t, RouterConfig{Gateways: map[string]Gateway{"a": one}, Routes: []Route{{Match: []string{"FR"}, Gateways: []string{"a"}}}})
	_, _, err := r.Send(t.Context(), "GB", message())
	failed, _ := errors.AsType[*SendError](err)
	if failed == nil || outcomeOf(failed) != (outcome{reason: ReasonNoRoute}) || one.count() != 0 {
		t.Errorf("got %v after %d calls", err, one.count())
	}
	wantDiscreet(t, err)
}

// An error that is none of this package's is final.
func TestRouterStopsAtAnUnknownError(t *testing.T) {
	strange := errors.New("strange")
	r, all := routeOver(t, RouterConfig{}, strange, nil)
	if _, _, err := r.Send(t.Context(), "GB", message()); !errors.Is(err, strange) || all[1].count() != 0 {
		t.Errorf("got %v after %d more calls", err, all[1].count())
	}
	if got := r.Status()[0]; got.State != failover.Closed || got.Failed != 1 || got.LastError != "" {
		t.Errorf("got %+v", got)
	}
}

func TestRouterLeavesABrokenGatewayAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		r, all := routeOver(t, RouterConfig{
			Breaker: failover.Config{Threshold: 3, Delay: time.Minute, OnChange: func(s failover.Status) { changes = append(changes, s.Name+" "+s.State) }},
		}, down, nil)
		send := func() {
			t.Helper()
			if _, _, err := r.Send(t.Context(), "GB", message()); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			send()
		}
		if all[0].count() != 3 || all[1].count() != 5 {
			t.Errorf("got %d and %d calls, want 3 and 5", all[0].count(), all[1].count())
		}
		if got := r.Status()[0]; got.State != failover.Open || got.RetryAt.Before(time.Now().Add(30*time.Second)) || got.LastError != ReasonRefused {
			t.Errorf("got %+v", got)
		}
		time.Sleep(time.Minute)
		send() // the probe fails
		time.Sleep(2 * time.Minute)
		all[0].set(nil)
		send()
		send()
		if all[0].count() != 6 {
			t.Errorf("got %d calls, want 6", all[0].count())
		}
		if got, want := strings.Join(changes, ","), "a open,a half-open,a open,a half-open,a closed"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestRouterWhenAllAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, all := routeOver(t, RouterConfig{Breaker: failover.Config{Threshold: 1, Delay: time.Minute}, Charge: func(context.Context, Message) error {
			t.Error("a charge for no call")
			return nil
		}}, auth, down)
		_, _, _ = r.Send(t.Context(), "GB", message())
		m := message()
		m.Repeat = true
		_, _, err := r.Send(t.Context(), "GB", m)
		failed, _ := errors.AsType[*SendError](err)
		if failed == nil || failed.Reason != ReasonNoGateway || !failed.Again || !failed.Fault || !failed.Unsure {
			t.Fatalf("got %v", err)
		}
		if failed.Wait < 30*time.Second || failed.Wait > time.Minute {
			t.Errorf("got wait %s, want half a minute to one", failed.Wait)
		}
		if all[0].count() != 1 || all[1].count() != 1 {
			t.Errorf("got %d and %d calls", all[0].count(), all[1].count())
		}
	})
}

// A refused number says nothing against its gateway, nor does being stopped.
func TestRouterBlamesGatewaysForTheirOwnFaults(t *testing.T) {
	for err, want := range map[error]string{
		rejected: failover.Closed, &SendError{Reason: ReasonInterrupted, Again: true}: failover.Closed, down: failover.Open, auth: failover.Open,
		rate: failover.Open, vanished: failover.Open, &SendError{Reason: ReasonAnswer, Again: true, Unsure: true, Fault: true}: failover.Open,
	} {
		r, _ := routeOver(t, RouterConfig{Breaker: breakerConfig(3)}, err)
		for range 10 {
			_, _, _ = r.Send(t.Context(), "GB", message())
		}
		if got := r.Status()[0].State; got != want {
			t.Errorf("%v: got %s, want %s", err, got, want)
		}
	}
}

func TestRouterSharesTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, all := routeOver(t, RouterConfig{Breaker: breakerConfig(1)}, down, nil)
		all[0].took, all[1].took = 900*time.Millisecond, time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := r.Send(ctx, "GB", message())
		failed, _ := errors.AsType[*SendError](err)
		if failed == nil || failed.Reason != ReasonTimeout || !failed.Unsure {
			t.Fatalf("got %v", err)
		}
		if got := r.Status(); got[0].State != failover.Open || got[1].State != failover.Closed || got[1].Failed != 1 || got[1].Uncertain != 1 {
			t.Errorf("got %+v, want the second one not blamed", got)
		}
		// The time is up: nobody else is asked.
		all[1].took = 0
		r, all = routeOver(t, RouterConfig{Breaker: breakerConfig(1)}, nil, nil)
		all[0].took = time.Hour
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := r.Send(ctx, "GB", message()); err == nil || all[1].count() != 0 {
			t.Errorf("got %v and %d more calls", err, all[1].count())
		}
		if got := r.Status()[0].State; got != failover.Open {
			t.Errorf("got it %s: it had all the time", got)
		}
	})
}

func TestRouterBoundsConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, all := routeOver(t, RouterConfig{}, nil)
		all[0].took = time.Second
		start := time.Now()
		var wg sync.WaitGroup
		for range 3 * concurrency {
			wg.Go(func() {
				if _, _, err := r.Send(t.Context(), "GB", message()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if got := r.Status()[0].InFlight; got != concurrency {
			t.Errorf("got %d at a time, want %d", got, concurrency)
		}
		// Who waits for a slot and gives up has not been sent.
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, _, err := r.Send(ctx, "GB", message())
		failed, _ := errors.AsType[*SendError](err)
		if failed == nil || outcomeOf(failed) != (outcome{reason: ReasonTimeout, again: true}) || failed.Gateway != "a" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a time-out that is certain", err)
		}
		stopped, stop := context.WithCancel(t.Context())
		stop()
		_, _, err = r.Send(stopped, "GB", message())
		if failed, _ = errors.AsType[*SendError](err); failed == nil || outcomeOf(failed) != (outcome{reason: ReasonInterrupted, again: true}) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want it interrupted", err)
		}
		wg.Wait()
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("got %s, want 3s", took)
		}
		if got := r.Status()[0]; got.InFlight != 0 || got.Sent != 3*concurrency || got.Failed != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestRouterSurvivesAPanic(t *testing.T) {
	r, all := routeOver(t, RouterConfig{}, nil)
	all[0].panic = true
	for range concurrency {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed: nobody knows how far it got")
				}
			}()
			_, _, _ = r.Send(t.Context(), "GB", message())
		}()
	}
	all[0].panic = false
	if _, _, err := r.Send(t.Context(), "GB", message()); err != nil {
		t.Error(err)
	}
}

func TestRouterFillsInOriginators(t *testing.T) {
	r, all := routeOver(t, RouterConfig{Originators: Originators{AnyGateway: {AnyRegion: {"Example"}}, "b": {"GB": {"+4479"}}}}, down, nil)
	m := message()
	m.From = ""
	if _, _, err := r.Send(t.Context(), "GB", m); err != nil {
		t.Fatal(err)
	}
	m.From = "Mine"
	if _, _, err := r.Send(t.Context(), "GB", m); err != nil {
		t.Fatal(err)
	}
	got := []string{all[0].calls[0].From, all[1].calls[0].From, all[0].calls[1].From, all[1].calls[1].From}
	if want := "Example,+4479,Mine,Mine"; strings.Join(got, ",") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestRouterTellsItsStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, all := routeOver(t, RouterConfig{}, nil, nil)
		start := time.Now()
		for _, err := range []error{nil, rejected, rate, nil, vanished} {
			time.Sleep(time.Second)
			all[0].set(err)
			_, _, _ = r.Send(t.Context(), "GB", message())
		}
		want := failover.Status{
			Name: "a", State: failover.Closed, LastError: ReasonLost, LastErrorAt: start.Add(5 * time.Second), LastSuccess: start.Add(4 * time.Second),
			Sent: 2, Refused: 1, Failed: 2, Uncertain: 1,
		}
		if got := r.Status(); got[0] != want || got[1].Name != "b" || got[1].Sent != 2 {
			t.Errorf("got %+v, want %+v", got, want)
		}
		all[0].set(auth)
		_, _, _ = r.Send(t.Context(), "GB", message())
		if got := r.Status()[0].LastError; got != ReasonAuth+" 401" {
			t.Errorf("got %q", got)
		}
	})
}

func TestRouterClosesGateways(t *testing.T) {
	h := newHTTP(t, simple("https://example.com/"))
	r := newRouter(t, RouterConfig{Gateways: map[string]Gateway{"a": h, "b": &scripted{}}})
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
