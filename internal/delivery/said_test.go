// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// quoted is an error of a transport that knows what the relay has said.
type quoted struct {
	sendError
	said string
}

func (q quoted) Said() string { return q.said }

// RetryAfter keeps the second try away.
func (q quoted) RetryAfter() time.Duration { return 10 * time.Minute }

// TestSaidIsKept: whoever asks why somebody got no mail is told what was said of
// it, the words of the relay too, and no secret; everybody else is not told.
func TestSaidIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		err      func(m verification.Message) error
		delivery verification.DeliveryState
		want     []string
		tries    bool
	}{
		"taken": {func(verification.Message) error { return nil }, verification.Delivered, nil, false},
		"refused": {func(m verification.Message) error {
			return quoted{sendError{text: "failed at rcpt with reply 550 5.1.1"}, "no mailbox\x1b[31m " + m.Address + "\r\nhere"}
		}, verification.Failed, []string{"550 5.1.1", "no mailbox", testAddress, "here"}, false},
		"deferred": {func(m verification.Message) error {
			return quoted{sendError{text: "failed at rcpt with reply 451", temporary: true}, "greylisted, token " + m.Token}
		}, verification.Deferred, []string{"451", "greylisted", "[secret]"}, true},
		"ours alone": {func(verification.Message) error { return sendError{text: "connection lost"} }, verification.Failed, []string{"connection lost"}, false},
		"much":       {func(verification.Message) error { return quoted{sendError{text: "no"}, strings.Repeat("x", 10_000)} }, verification.Failed, []string{"xxx"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var sent verification.Message
				o := r.outbox(senderFunc(func(_ context.Context, m verification.Message) error {
					sent = m
					return c.err(m)
				}))
				svc := r.service(o)
				opened, err := svc.RequestToken(t.Context(), ask("s1"))
				if err != nil {
					t.Fatal(err)
				}
				o.Start()
				time.Sleep(time.Second)
				synctest.Wait()
				found, err := svc.FindByAddress(t.Context(), verification.Email, testAddress)
				if err != nil || len(found) != 1 || found[0].SID != opened.SID || found[0].Delivery != c.delivery {
					t.Fatalf("got %+v, %v, want one message that is %s", found, err, c.delivery)
				}
				text := found[0].Reply.Text
				if (text == "") != (c.want == nil) || len([]rune(text)) > maxErrorText+1 || strings.ContainsAny(text, "\x1b\r\n") {
					t.Errorf("got %q", text)
				}
				for _, want := range c.want {
					if !strings.Contains(text, want) {
						t.Errorf("got %q, want %q", text, want)
					}
				}
				if strings.Contains(text, sent.Token) {
					t.Errorf("%q has the token", text)
				}
				for _, e := range r.diary.all() {
					if e.Err != nil && (strings.Contains(e.Err.Error(), testAddress) || strings.Contains(e.Err.Error(), "greylisted")) {
						t.Errorf("the log has %q", e.Err)
					}
				}
				w, there, err := o.Look(t.Context(), found[0].MessageID)
				if err != nil || there != c.tries || c.tries && (w.Tries != 1 || !w.Next.After(time.Now())) {
					t.Errorf("got %+v, %v, %v, want a message that waits for its second try: %v", w, there, err, c.tries)
				}
				r.stop(o)
			})
		})
	}
}
