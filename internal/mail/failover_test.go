// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// Against real servers: whatever is wrong with the first before it has taken a
// recipient, the second delivers, once.
func TestRelaysFailOverOnEveryFaultBeforeTheText(t *testing.T) {
	tests := map[string]struct {
		server smtptest.Options
		cfg    SMTPConfig
	}{
		"reset on connect":   {smtptest.Options{Fail: failAt("CONNECT", smtptest.ErrReset)}, SMTPConfig{}},
		"dropped on connect": {smtptest.Options{Fail: failAt("CONNECT", smtptest.ErrDrop)}, SMTPConfig{}},
		"421 on connect":     {smtptest.Options{Fail: failAt("CONNECT", smtptest.Reply(421, "too busy"))}, SMTPConfig{}},
		"silent":             {smtptest.Options{Fail: failAt("EHLO", smtptest.ErrSilence)}, SMTPConfig{ConnectTimeout: 50 * time.Millisecond}},
		"tarpit":             {smtptest.Options{Fail: smtptest.Tarpit(200 * time.Millisecond)}, SMTPConfig{ConnectTimeout: 50 * time.Millisecond}},
		"expired":            {smtptest.Options{Certificate: smtptest.Expired}, SMTPConfig{}},
		"self-signed":        {smtptest.Options{Certificate: smtptest.SelfSigned}, SMTPConfig{}},
		"wrong name":         {smtptest.Options{Hosts: []string{"other.test"}}, SMTPConfig{}},
		"wrong password":     {smtptest.Options{Username: "u", Password: "other"}, SMTPConfig{Username: "u", Password: "p"}},
		"sender refused":     {smtptest.Options{Fail: failAt("MAIL", smtptest.Reply(550, "not you"))}, SMTPConfig{}},
		"sender deferred":    {smtptest.Options{Fail: failAt("MAIL", smtptest.Reply(451, "not now"))}, SMTPConfig{}},
		"reset at MAIL":      {smtptest.Options{Fail: failAt("MAIL", smtptest.ErrReset)}, SMTPConfig{}},
		"reset at RCPT":      {smtptest.Options{Fail: failAt("RCPT", smtptest.ErrReset)}, SMTPConfig{}},
		"421 at RCPT":        {smtptest.Options{Fail: failAt("RCPT", smtptest.Reply(421, "bye"))}, SMTPConfig{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.server.Mode = smtptest.STARTTLS
			first := startServer(t, test.server)
			second := startServer(t, smtptest.Options{Mode: smtptest.TLS})
			r := newRelays(t, failover.Config{}, connectTo(t, first, test.cfg), connectTo(t, second, SMTPConfig{TLS: ImplicitTLS}))
			if err := send(t, r); err != nil {
				t.Fatal(err)
			}
			if got, other := len(second.Messages()), len(first.Messages()); got != 1 || other != 0 {
				t.Errorf("got %d by the second relay, %d by the first, want one and none", got, other)
			}
			if got := r.Status(); got[0].Failed != 1 || got[0].LastError == "" || got[1].Sent != 1 {
				t.Errorf("got status %+v", got)
			}
		})
	}
}

// Once some of the text was sent, the next relay is not asked: it may have
// arrived. A relay that says no there is found to be broken all the same; one of
// which nobody knows whether it took the mail is not: others would wait for it.
func TestRelaysNeverSendTheTextTwice(t *testing.T) {
	for _, stage := range []string{"BODY", "MIDDATA", "DATA"} {
		for name, fault := range map[string]error{
			"dies": smtptest.ErrDrop, "resets": smtptest.ErrReset, "451": smtptest.Reply(451, "no room"), "421": smtptest.Reply(421, "bye"),
		} {
			t.Run(stage+" "+name, func(t *testing.T) {
				first := startServer(t, smtptest.Options{Fail: failAt(stage, fault)})
				second := startServer(t, smtptest.Options{})
				r := newRelays(t, failover.Config{Threshold: 2}, connectTo(t, first, SMTPConfig{TLS: NoTLS}), connectTo(t, second, SMTPConfig{TLS: NoTLS}))
				blamed := 0
				for range 2 {
					err := r.Send(t.Context(), sender, reader, composed(t))
					got, ok := errors.AsType[*SendError](err)
					if !ok || got.Stage != "data" || !got.Temporary() {
						t.Fatalf("got %v, want a passing fault at data", err)
					}
					if !got.Uncertain() {
						blamed++
					} else if got.Code != 0 {
						t.Errorf("got %v, want no doubt after a clear no", err)
					}
				}
				if got := len(second.Messages()); got != 0 {
					t.Errorf("got %d messages by the second relay, want none", got)
				}
				if blamed < 2 {
					if got := r.Status()[0]; got.State != failover.Closed {
						t.Errorf("got %s after %d mails in doubt, want it in use", got.State, 2-blamed)
					}
					return
				}
				if err := r.Send(t.Context(), sender, reader, composed(t)); err != nil { // another message
					t.Error(err)
				}
				if got := len(second.Messages()); got != 1 {
					t.Errorf("got %d messages by the second relay after the first was left alone, want 1", got)
				}
			})
		}
	}
}

// Greylisting is the recipient's affair: the relay stays in use, and the second
// try, which the outbox makes, goes through by the same one.
func TestRelaysComeBackToARelayThatGreylists(t *testing.T) {
	first, second := startServer(t, smtptest.Options{Fail: smtptest.Greylist()}), startServer(t, smtptest.Options{})
	r := newRelays(t, failover.Config{Threshold: 2}, connectTo(t, first, SMTPConfig{TLS: NoTLS}), connectTo(t, second, SMTPConfig{TLS: NoTLS}))
	for i := range 10 {
		to := fmt.Sprintf("r%d@example.org", i)
		err := r.Send(t.Context(), sender, to, composed(t))
		if got, ok := errors.AsType[*SendError](err); !ok || got.Reason != ReasonDeferred || got.Code != 451 || got.Operator() {
			t.Fatalf("got %v, want %s", err, ReasonDeferred)
		}
		if err := r.Send(t.Context(), sender, to, composed(t)); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(first.Messages()); got != 10 || len(second.Messages()) != 0 {
		t.Errorf("got %d and %d messages, want all by the first", got, len(second.Messages()))
	}
	if got := r.Status()[0]; got.State != failover.Closed || got.Refused != 10 || got.Sent != 10 {
		t.Errorf("got status %+v", got)
	}
}

// Two relays of which one comes and goes, and many messages at a time: each is
// delivered once, as none of the faults comes after the text.
func TestRelaysLoseNothingWhileOneFlaps(t *testing.T) {
	const workers, each = 8, 25
	var n atomic.Int32
	first := startServer(t, smtptest.Options{Mode: smtptest.STARTTLS, Fail: func(stage, _ string) error {
		if stage == "DATA" || stage == "BODY" || stage == "MIDDATA" {
			return nil
		}
		switch c := n.Add(1); {
		case c/40%2 == 0: // up
			return nil
		case c%3 == 0:
			return smtptest.ErrReset
		case stage == "RCPT":
			return smtptest.Reply(421, "going down")
		}
		return smtptest.Reply(451, "not now")
	}})
	second := startServer(t, smtptest.Options{Mode: smtptest.STARTTLS})
	r := newRelays(t, failover.Config{Threshold: 3, Delay: time.Millisecond, MaxDelay: 4 * time.Millisecond}, connectTo(t, first, SMTPConfig{}), connectTo(t, second, SMTPConfig{}))
	message := composed(t)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				to := fmt.Sprintf("r%d-%d@example.org", w, i)
				var err error
				for range 50 { // as the outbox does, but for the pauses
					err = r.Send(t.Context(), sender, to, message)
					if got, ok := errors.AsType[*SendError](err); !ok || !got.Temporary() {
						break
					}
				}
				if err != nil {
					t.Errorf("got %v, want passing faults at most", err)
				}
			}
		})
	}
	wg.Wait()
	got := map[string]int{}
	for _, m := range append(first.Messages(), second.Messages()...) {
		got[m.To]++
	}
	if len(got) != workers*each {
		t.Errorf("got %d recipients, want %d", len(got), workers*each)
	}
	for to, n := range got {
		if n != 1 {
			t.Errorf("%s got %d messages, want one", to, n)
		}
	}
	if len(first.Messages()) == 0 || len(second.Messages()) == 0 {
		t.Errorf("got %d and %d messages, want some by each", len(first.Messages()), len(second.Messages()))
	}
}
