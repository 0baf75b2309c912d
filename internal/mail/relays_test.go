// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// fake is a transport that does as a test says.
type fake struct {
	mu     sync.Mutex
	err    error
	took   time.Duration
	calls  int
	closed bool
}

func (f *fake) Send(ctx context.Context, _, _ string, _ []byte) error {
	f.mu.Lock()
	f.calls++
	err, took := f.err, f.took
	f.mu.Unlock()
	select {
	case <-time.After(took):
		return err
	case <-ctx.Done():
		return failure(ctx, "dial", ctx.Err())
	}
}

func (f *fake) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// wantCalls looks how often it was asked since the last time.
func (f *fake) wantCalls(t *testing.T, want int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls != want {
		t.Errorf("got %d calls, want %d", f.calls, want)
	}
	f.calls = 0
}

func (f *fake) Close() error {
	f.closed = true
	return nil
}

// failed makes an error as the transport does.
func failed(stage string, code int) *SendError {
	if code == 0 {
		return failure(context.Background(), stage, errLost)
	}
	return failure(context.Background(), stage, &smtp.SMTPError{Code: code})
}

func newRelays(t *testing.T, cfg failover.Config, transports ...Transport) *Relays {
	t.Helper()
	var all []Relay
	for i, one := range transports {
		all = append(all, Relay{Name: fmt.Sprint("relay", i+1), Transport: one})
	}
	r, err := NewRelays(all, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func send(t *testing.T, r *Relays) error {
	t.Helper()
	return r.Send(t.Context(), sender, reader, []byte("x\r\n"))
}

func TestRelaysGoOnOnlyWhereItIsSafe(t *testing.T) {
	tests := []struct {
		err       *SendError
		elsewhere bool             // the next relay is asked
		says      failover.Verdict // about the relay
	}{
		{failed("dial", 0), true, failover.Broken},
		{failed("tls", 0), true, failover.Broken},
		{failed("tls", 454), true, failover.Broken},
		{failed("hello", 421), true, failover.Broken},
		{failed("hello", 554), true, failover.Broken},
		{failed("auth", 535), true, failover.Broken},
		{failed("auth", 454), true, failover.Broken},
		{failed("mail", 451), true, failover.Broken},
		{failed("mail", 550), true, failover.Broken},
		{failed("mail", 0), true, failover.Broken},
		{failed("rcpt", 0), true, failover.Broken},
		{failed("rcpt", 421), true, failover.Broken},
		{failed("rcpt", 530), true, failover.Broken},
		{failure(t.Context(), "rcpt", &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}}), true, failover.Broken},
		{failed("rcpt", 450), false, failover.Healthy}, // greylisted
		{failed("rcpt", 550), false, failover.Healthy}, // no such person
		{failed("data", 0), false, failover.Broken},    // nobody knows whether it arrived
		{failed("data", 451), false, failover.Broken},
		{failed("data", 421), false, failover.Broken},
		{failed("data", 554), false, failover.Healthy},
		// One mailbox is full, and somebody may have filled it to stop the mail of others.
		{failure(t.Context(), "data", &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}}), false, failover.Healthy},
		{failure(t.Context(), "data", &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}}), false, failover.Broken},
		{failure(t.Context(), "mail", errNoSMTPUTF8), true, failover.Healthy}, // the next may have it
		{&SendError{Stage: "wait", Reason: ReasonBusy, temporary: true}, true, failover.Unknown},
		{closedError(), true, failover.Unknown},
	}
	for _, test := range tests {
		first, second := &fake{err: test.err}, &fake{}
		r := newRelays(t, failover.Config{}, first, second)
		err := send(t, r)
		first.wantCalls(t, 1)
		if test.elsewhere {
			second.wantCalls(t, 1)
			if err != nil {
				t.Errorf("%v: got %v after the second relay took it", test.err, err)
			}
		} else {
			second.wantCalls(t, 0)
			if !errors.Is(err, error(test.err)) {
				t.Errorf("%v: got %v, want the same", test.err, err)
			}
		}
		if got := judge(test.err); got != test.says {
			t.Errorf("%v: got verdict %d, want %d", test.err, got, test.says)
		}
	}
}

func TestRelaysReturnTheErrorThatHelpsMost(t *testing.T) {
	final := failure(t.Context(), "mail", errNoSMTPUTF8)
	passing := failed("dial", 0)
	for _, order := range [][]error{{final, passing}, {passing, final}} {
		r := newRelays(t, failover.Config{}, &fake{err: order[0]}, &fake{err: order[1]})
		if err := send(t, r); !errors.Is(err, error(passing)) {
			t.Errorf("%v: got %v, want the one that passes", order, err)
		}
	}
	if err := send(t, newRelays(t, failover.Config{}, &fake{err: final}, &fake{err: final})); !errors.Is(err, error(final)) {
		t.Errorf("got %v, want %v", err, final)
	}
	if err := send(t, newRelays(t, failover.Config{}, &fake{err: ErrInvalidSender}, &fake{})); !errors.Is(err, ErrInvalidSender) {
		t.Errorf("got %v, want %v", err, ErrInvalidSender)
	}
}

func TestRelaysLeaveABrokenOneAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		first, second := &fake{err: failed("dial", 0)}, &fake{}
		r := newRelays(t, failover.Config{
			Threshold: 3, Delay: time.Minute, MaxDelay: 4 * time.Minute,
			OnChange: func(s failover.Status) { changes = append(changes, s.Name+" "+s.State) },
		}, first, second)
		for range 10 {
			if err := send(t, r); err != nil {
				t.Fatal(err)
			}
		}
		first.wantCalls(t, 3)
		second.wantCalls(t, 10)

		time.Sleep(time.Minute) // the longest that the delay can be
		for range 2 {
			if err := send(t, r); err != nil {
				t.Fatal(err)
			}
		}
		first.wantCalls(t, 1)
		second.wantCalls(t, 2)
		time.Sleep(59 * time.Second) // the delay has doubled: not less than a minute
		if err := send(t, r); err != nil {
			t.Fatal(err)
		}
		first.wantCalls(t, 0)

		time.Sleep(time.Minute + time.Second)
		first.set(nil)
		for range 3 {
			if err := send(t, r); err != nil {
				t.Fatal(err)
			}
		}
		first.wantCalls(t, 3)
		want := []string{"relay1 open", "relay1 half-open", "relay1 open", "relay1 half-open", "relay1 closed"}
		if got := strings.Join(changes, ","); got != strings.Join(want, ",") {
			t.Errorf("got changes %s, want %s", got, want)
		}
	})
}

// While one message probes, the others do not wait for what comes of it.
func TestRelaysProbeWithOneMessageOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &fake{err: failed("dial", 0)}, &fake{}
		r := newRelays(t, failover.Config{Threshold: 1}, first, second)
		if err := send(t, r); err != nil {
			t.Fatal(err)
		}
		time.Sleep(failover.DefaultDelay)
		first.wantCalls(t, 1)
		second.wantCalls(t, 1)
		first.took = time.Second
		first.set(nil)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := send(t, r); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		first.wantCalls(t, 1)
		second.wantCalls(t, 9)
	})
}

func TestRelaysThatAreAllBrokenSayWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &fake{err: failed("dial", 0)}, &fake{err: failed("auth", 535)}
		r := newRelays(t, failover.Config{Threshold: 1, Delay: time.Minute}, first, second)
		if err := send(t, r); err == nil {
			t.Fatal("got no error")
		}
		err := send(t, r)
		got, ok := errors.AsType[*SendError](err)
		if !ok || got.Reason != ReasonNoRelay || !got.Temporary() || !got.Operator() || !strings.Contains(err.Error(), "is left alone for a while") {
			t.Fatalf("got %v, want %s, for the operator", err, ReasonNoRelay)
		}
		if d := got.RetryAfter(); d < 30*time.Second || d > time.Minute {
			t.Errorf("got again after %s, want half a minute to one", d)
		}
		first.wantCalls(t, 1)
		second.wantCalls(t, 1)
	})
}

// A relay that takes all the time there is has not spoilt it for the next.
func TestRelaysBlameNobodyForLostTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, next := &fake{took: time.Hour}, &fake{took: 2 * time.Second}
		r := newRelays(t, failover.Config{Threshold: 1}, slow, next)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Send(ctx, sender, reader, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want %v", err, context.DeadlineExceeded)
		}
		next.wantCalls(t, 0)
		if got := r.Status(); got[0].State != failover.Open || got[1].State != failover.Closed {
			t.Errorf("got %+v, want the slow one left alone", got)
		}
		// The second relay is cut off by what the first has used up.
		slow.took, slow.err = 900*time.Millisecond, failed("dial", 0)
		time.Sleep(time.Minute)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Send(ctx, sender, reader, nil); err == nil {
			t.Fatal("got no error")
		}
		next.wantCalls(t, 1)
		if got := r.Status()[1]; got.State != failover.Closed || got.Failed != 1 {
			t.Errorf("got %+v, want the second one as it was", got)
		}
	})
}

func TestRelaysTellTheirStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &fake{}, &fake{}
		r := newRelays(t, failover.Config{Threshold: 3}, first, second)
		start := time.Now()
		for _, err := range []error{nil, failed("rcpt", 550), failed("rcpt", 451), nil, failed("tls", 454)} {
			time.Sleep(time.Second)
			first.set(err)
			_ = send(t, r)
		}
		first.took = time.Second
		done := make(chan error)
		go func() { done <- send(t, r) }()
		synctest.Wait()
		got := r.Status()
		want := failover.Status{
			Name: "relay1", State: failover.Closed, LastError: "tls: deferred 454", LastErrorAt: start.Add(5 * time.Second),
			LastSuccess: start.Add(4 * time.Second), Sent: 2, Refused: 2, Failed: 1, InARow: 1, InFlight: 1,
		}
		if got[0] != want {
			t.Errorf("got %+v, want %+v", got[0], want)
		}
		if got[1].Name != "relay2" || got[1].Sent != 1 || got[1].InFlight != 0 {
			t.Errorf("got %+v, want one message by the second", got[1])
		}
		<-done
	})
}

// The words for a fault are this package's own: a reply often quotes a reader.
func TestRelaysStatusNamesNobody(t *testing.T) {
	server := startServer(t, smtptest.Options{Fail: failAt("MAIL", smtptest.Reply(550, "reader@example.org has no business with noreply@example.org"))})
	r := newRelays(t, failover.Config{}, connectTo(t, server, SMTPConfig{TLS: NoTLS}))
	if err := send(t, r); err == nil {
		t.Fatal("got no error")
	}
	if got := r.Status()[0].LastError; got != "mail: sender-refused 550" {
		t.Errorf("got %q", got)
	}
}

func TestRelaysAreRefusedWithAReason(t *testing.T) {
	one := &fake{}
	for name, make := range map[string]func() (*Relays, error){
		"none":        func() (*Relays, error) { return NewRelays(nil, failover.Config{}) },
		"no name":     func() (*Relays, error) { return NewRelays([]Relay{{Transport: one}}, failover.Config{}) },
		"no relay":    func() (*Relays, error) { return NewRelays([]Relay{{Name: "a"}}, failover.Config{}) },
		"same name":   func() (*Relays, error) { return NewRelays([]Relay{{"a", one}, {"a", one}}, failover.Config{}) },
		"threshold":   func() (*Relays, error) { return NewRelays([]Relay{{"a", one}}, failover.Config{Threshold: -1}) },
		"delay":       func() (*Relays, error) { return NewRelays([]Relay{{"a", one}}, failover.Config{Delay: -1}) },
		"short delay": func() (*Relays, error) { return NewRelays([]Relay{{"a", one}}, failover.Config{Delay: 2, MaxDelay: 1}) },
	} {
		if r, err := make(); err == nil {
			t.Errorf("%s: got %v, want an error", name, r)
		}
	}
	if err := newRelays(t, failover.Config{}, one).Close(); err != nil || !one.closed {
		t.Errorf("got %v, closed %t, want the transport closed", err, one.closed)
	}
}

// slow takes a mail, and its time over the answer.
type slow struct{ answer chan error }

func (s slow) Send(ctx context.Context, _, _ string, _ []byte) error {
	patienceOf(ctx).Slow()
	return <-s.answer
}

// A probe that was handed over has shown what it was to show: while the relay
// takes its time over it, others are sent, whatever comes of it.
func TestRelaysAreUsedWhileAProbeWaitsForItsAnswer(t *testing.T) {
	doubt := failed("data", 0)
	doubt.uncertain = true
	for _, end := range []error{nil, doubt, failed("data", 451)} {
		synctest.Test(t, func(t *testing.T) {
			one := &fake{err: failed("dial", 0)}
			r := newRelays(t, failover.Config{Threshold: 1}, one)
			_ = send(t, r)
			time.Sleep(failover.DefaultDelay)
			probe := slow{make(chan error)}
			r.relays[0].Via = probe
			told := false
			ctx := WithPatience(t.Context(), Patience{Live: t.Context(), Slow: func() { told = true }})
			done := make(chan error, 1)
			go func() { done <- r.Send(ctx, sender, reader, nil) }()
			synctest.Wait()
			if got := r.Status()[0]; got.State != failover.Closed || !told {
				t.Errorf("got %+v, told %t, want it in use", got, told)
			}
			probe.answer <- end
			<-done
			if got := r.Status()[0]; got.State != failover.Closed {
				t.Errorf("got %+v after %v, want it in use", got, end)
			}
		})
	}
}
