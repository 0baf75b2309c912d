// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// gateway is a guest that says what the test wants.
type gateway struct {
	got guest.SMS
	err error
}

func (g *gateway) Send(_ context.Context, m guest.SMS) (string, error) {
	g.got = m
	return "its name", g.err
}

// TestGuestsGetTheWholeMessage, and the receipt URL only if they report.
func TestGuestsGetTheWholeMessage(t *testing.T) {
	m := sms.Message{ID: "id", To: "447400123456", From: "Example", Text: "text", Unicode: true, Segments: 2, Repeat: true, Tag: "a tag+1"}
	for url, want := range map[string]string{"": "", "https://m.example/r": "https://m.example/r?tag=a+tag%2B1"} {
		g := &gateway{}
		taken, err := reporting{g, url}.Send(t.Context(), m)
		whole := guest.SMS{ID: "id", To: "447400123456", From: "Example", Text: "text", Unicode: true, Segments: 2, Repeat: true, ReceiptURL: want}
		if err != nil || taken.ID != "its name" || g.got != whole {
			t.Errorf("%q: got %+v and %+v, %v, want %+v", url, g.got, taken, err, whole)
		}
	}
}

// TestErrorsOfGuests mean what they say to the router, whatever type they have, and only
// words that there are get into the metrics. Errors of our own pass as they are.
func TestErrorsOfGuests(t *testing.T) {
	cause := errors.New("the cause")
	own, other := &sms.SendError{Reason: sms.ReasonDNS}, errors.New("anything else")
	for _, c := range []struct{ err, want error }{
		{nil, nil},
		{own, own},
		{other, other},
		{
			&guest.SendError{Reason: guest.ReasonRate, Again: true, Unsure: true, Fault: true, Wait: time.Minute, Err: cause},
			&sms.SendError{Reason: sms.ReasonRate, Again: true, Unsure: true, Fault: true, Wait: time.Minute, Err: cause},
		},
		{
			fmt.Errorf("while dialling: %w", &guest.SendError{Reason: guest.ReasonTimeout, Again: true}),
			&sms.SendError{Reason: sms.ReasonTimeout, Again: true, Err: errors.New("while dialling: timeout")},
		},
		{
			&ownError{again: true, unsure: true},
			&sms.SendError{Reason: sms.ReasonGateway, Again: true, Unsure: true, Wait: time.Minute, Err: errors.New("their word")},
		},
		{&ownError{fault: true}, &sms.SendError{Reason: sms.ReasonGateway, Fault: true, Wait: time.Minute, Err: errors.New("their word")}},
		{&ownError{}, errors.New("their word")},
		{&guest.SendError{Reason: "447400123456 is odd"}, &sms.SendError{Reason: sms.ReasonGateway}},
	} {
		_, got := reporting{&gateway{err: c.err}, ""}.Send(t.Context(), sms.Message{})
		if spelled(got) != spelled(c.want) {
			t.Errorf("%v: got %s, want %s", c.err, spelled(got), spelled(c.want))
		}
	}
	if text := smsError(&guest.SendError{Reason: guest.ReasonAuth, Err: cause}).Error(); !strings.Contains(text, "auth-refused: the cause") {
		t.Errorf("got %q, want why", text)
	}
}

// spelled is all that an error has to say.
func spelled(err error) string {
	if failed, ok := errors.AsType[*sms.SendError](err); ok {
		return fmt.Sprintf("%T %+v", err, *failed)
	}
	return fmt.Sprintf("%T %+v", err, err)
}

// TestTheNextGatewayIsAsked where one is at fault, says so by methods of its own, or
// panics; the status names it, and when it has failed often enough it is left alone.
func TestTheNextGatewayIsAsked(t *testing.T) {
	for name, fails := range map[string]gatewayFunc{
		"its own error": func() error { return &ownError{again: true, fault: true, unsure: true} },
		"panics":        func() error { panic("boom") },
	} {
		calls, paid := 0, 0
		router, err := sms.NewRouter(sms.RouterConfig{
			Gateways: map[string]sms.Gateway{
				"first":  reporting{gatewayFunc(func() error { calls++; return fails() }), ""},
				"second": reporting{gatewayFunc(func() error { return nil }), ""},
			},
			Routes:  []sms.Route{{Gateways: []string{"first", "second"}}},
			Charge:  func(context.Context, sms.Message) error { paid++; return nil },
			Breaker: failover.Config{Threshold: 2},
		})
		must(t, err)
		for range 5 {
			if by, _, err := router.Send(t.Context(), "GB", sms.Message{To: "447400123456"}); by != "second" {
				t.Errorf("%s: sent by %q, %v", name, by, err)
			}
		}
		if s := router.Status()[0]; calls != 2 || paid != 2 || s.Failed != 2 || s.Uncertain != 2 || s.State != failover.Open {
			t.Errorf("%s: %d calls, %d paid again, %+v", name, calls, paid, s)
		}
	}
}

// queued is a sender that waits for a place at a gateway.
type queued struct{ gateway reporting }

func (q queued) Send(ctx context.Context, _ verification.Message) error {
	time.Sleep(2 * time.Second)
	_, err := q.gateway.Send(ctx, sms.Message{})
	return err
}

// TestNoTextBeginsWithAGatewayOfBefore: what has waited for a place at it is sent with the
// next.
func TestNoTextBeginsWithAGatewayOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(storetest.NewMemory(nil), testKeys(t, 1), true, zap.NewNop())
		former, next := 0, 0
		use := func(calls *int) (release func()) {
			gateway := reporting{gatewayFunc(func() error { *calls++; return nil }), ""}
			return s.Outbox.Use(outbox.Transports{Senders: map[threepid.Medium]outbox.Sender{threepid.MSISDN: queued{gateway}}})
		}
		release := use(&former)
		m := verification.Message{ID: "00SessionOfAlice.1", SID: "00SessionOfAlice", Medium: threepid.MSISDN, Expires: time.Now().Add(time.Hour)}
		must(t, s.Update(t.Context(), "00", func(txn store.Txn) error { return s.Outbox.Put(txn, m) }))
		s.Outbox.Wake("00", m.ID)
		time.Sleep(time.Second)
		use(&next)
		release()
		time.Sleep(time.Minute)
		must(t, s.Destruct())
		if former != 0 || next != 1 {
			t.Errorf("%d texts by the former gateway and %d by the next, want one by the next", former, next)
		}
	})
}
