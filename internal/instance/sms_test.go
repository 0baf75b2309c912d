// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
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

// TestErrorsOfGuests mean what they say to the router, and only words that there are get
// into the metrics. Errors of our own pass as they are.
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
		{&guest.SendError{Reason: "447400123456 is odd"}, &sms.SendError{Reason: sms.ReasonGateway}},
	} {
		_, got := reporting{&gateway{err: c.err}, ""}.Send(t.Context(), sms.Message{})
		failed, isOurs := errors.AsType[*sms.SendError](got)
		want, wantOurs := errors.AsType[*sms.SendError](c.want)
		if isOurs != wantOurs || isOurs && *failed != *want || !isOurs && !errors.Is(got, c.want) {
			t.Errorf("%v: got %#v, want %#v", c.err, got, c.want)
		}
	}
	if text := smsError(&guest.SendError{Reason: guest.ReasonAuth, Err: cause}).Error(); !strings.Contains(text, "auth-refused: the cause") {
		t.Errorf("got %q, want why", text)
	}
}
