// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
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
			return quoted{sendError{text: "failed at rcpt with reply 451", temporary: true}, string("greylisted, token " + m.Token)}
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
				found, err := svc.FindByAddress(t.Context(), threepid.ThreePID{Medium: threepid.Email, Address: testAddress})
				if err != nil || len(found) != 1 || found[0].SID != opened.SID || found[0].Delivery != c.delivery {
					t.Fatalf("got %+v, %v, want one message that is %s", found, err, c.delivery)
				}
				text := found[0].Reply.Text
				if (found[0].Reply.At == 0) != (text == "") {
					t.Errorf("got %+v, want a time for what was said, and only for that", found[0].Reply)
				}
				if (text == "") != (c.want == nil) || len([]rune(text)) > maxErrorText+1 || strings.ContainsAny(text, "\x1b\r\n") {
					t.Errorf("got %q", text)
				}
				for _, want := range c.want {
					if !strings.Contains(text, want) {
						t.Errorf("got %q, want %q", text, want)
					}
				}
				if strings.Contains(text, string(sent.Token)) {
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

// TestSaidOnce: nothing is added that is said already, or that nobody said.
func TestSaidOnce(t *testing.T) {
	for words, want := range map[string]string{"": "failed: 550 no", "550 no": "failed: 550 no", "550 never": "failed: 550 no: 550 never"} {
		if got := said(quoted{sendError{text: "failed: 550 no"}, words}, verification.Message{}); got != want {
			t.Errorf("with %q: got %q, want %q", words, got, want)
		}
	}
}

// TestReasonIsTheTransports, and empty where it has none.
func TestReasonIsTheTransports(t *testing.T) {
	for want, err := range map[string]error{
		mail.ReasonDeferred: fmt.Errorf("wrapped: %w", &mail.SendError{Reason: mail.ReasonDeferred}),
		sms.ReasonRejected:  fmt.Errorf("wrapped: %w", &sms.SendError{Reason: sms.ReasonRejected}),
		guest.ReasonCredit:  fmt.Errorf("wrapped: %w", &guest.SendError{Reason: guest.ReasonCredit}),
		"":                  errDiskFull,
	} {
		if got := reasonOf(err); got != want {
			t.Errorf("reasonOf(%v) = %q, want %q", err, got, want)
		}
	}
}

// TestLook: who looks for a message sees how it stands, and nothing of what is no
// message of ours.
func TestLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := newRig(t), message(1)
		disk := &storetest.Breaking{Store: r.store, Err: errDiskFull}
		o := r.outbox(nil, func(c *Config) { c.Store = disk })
		look := func(id string, there bool, want Waiting) {
			t.Helper()
			if got, ok, err := o.Look(t.Context(), id); err != nil || ok != there || got.Tries != want.Tries || !got.Next.Equal(want.Next) {
				t.Errorf("Look(%q) = %+v, %v, %v, want %+v, %v", id, got, ok, err, want, there)
			}
		}
		for _, id := range []string{"", "0", "01", m.ID} {
			look(id, false, Waiting{})
		}
		at := r.put(o, m)
		look(m.ID, true, Waiting{})
		rec, err := o.claim(at)
		if err != nil {
			t.Fatal(err)
		}
		rec.Tries, rec.NotBefore = 3, time.Now().Add(time.Minute).UnixMilli()
		if err := r.store.Update(t.Context(), at.partition, func(txn store.Txn) error { return o.codec.put(txn, at.key, rec) }); err != nil {
			t.Fatal(err)
		}
		look(m.ID, true, Waiting{Tries: 3}) // it is being sent
		if err := o.settle(at, rec, Deferred); err != nil {
			t.Fatal(err)
		}
		look(m.ID, true, Waiting{3, time.UnixMilli(rec.NotBefore)})
		time.Sleep(time.Until(time.UnixMilli(rec.NotBefore)))
		look(m.ID, true, Waiting{Tries: 3}) // it is due
		disk.Arm(1)
		if _, there, err := o.Look(t.Context(), m.ID); there || !errors.Is(err, errDiskFull) {
			t.Errorf("Look in a store that fails = %v, %v", there, err)
		}
		o.codec.keys = testKeys(t, 2)
		look(m.ID, false, Waiting{})
	})
}
