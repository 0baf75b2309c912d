// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// handset is a transport that keeps what it was given.
type handset struct {
	regions []string
	got     []sms.Message
	fail    error
}

func (h *handset) Send(_ context.Context, region string, m sms.Message) (string, sms.Accepted, error) {
	h.regions, h.got = append(h.regions, region), append(h.got, m)
	return "gateway", sms.Accepted{ID: "1"}, h.fail
}

func smsSender(t *testing.T, h *handset) *SMSSender {
	t.Helper()
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	return &SMSSender{
		Transport: h, Templates: words, Keys: testKeys(t, 1), Region: func(string) string { return "GB" },
		Tag: func(m verification.Message) string { return "tag of " + m.ID },
	}
}

// toPhone is the n-th message of a test, to a phone.
func toPhone(n int) verification.Message {
	m := message(n)
	m.Medium, m.Address, m.Token, m.Proof = threepid.MSISDN, "447400123456", "012345", verification.ProofCode
	return m
}

func TestR23_R54_SMSIsSentByOurselves(t *testing.T) {
	h := &handset{}
	s := smsSender(t, h)
	for n, want := range map[int]struct {
		language string
		unicode  bool
	}{1: {"en", false}, 2: {"de", false}, 3: {"ja", true}} {
		m := toPhone(n)
		m.Language = want.language
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		got := h.got[len(h.got)-1]
		if got.To != m.Address || !strings.Contains(got.Text, string(m.Token)) || !strings.Contains(got.Text, "matrix.example.org") {
			t.Errorf("%s: got %+v, want the code and the server", want.language, got)
		}
		if got.Unicode != want.unicode || got.Segments != 1 || got.Repeat || got.Tag != "tag of "+m.ID || h.regions[len(h.regions)-1] != "GB" {
			t.Errorf("%s: got %+v", want.language, got)
		}
		if strings.Contains(got.Text, "http") {
			t.Errorf("%s: the text %q has a link", want.language, got.Text)
		}
	}
}

// TestSMSIDIsStable: a gateway that knows idempotency keys sends a retry once.
// The id tells nothing of the session.
func TestSMSIDIsStable(t *testing.T) {
	h := &handset{}
	s := smsSender(t, h)
	for _, n := range []int{1, 1, 2} {
		if err := s.Send(t.Context(), toPhone(n)); err != nil {
			t.Fatal(err)
		}
	}
	if h.got[0].ID != h.got[1].ID || h.got[0].ID == h.got[2].ID {
		t.Errorf("got ids %q, %q, %q, want the first two alike", h.got[0].ID, h.got[1].ID, h.got[2].ID)
	}
	if !regexp.MustCompile(`^[0-9a-v]{26}$`).MatchString(h.got[0].ID) || strings.Contains(h.got[0].ID, string(toPhone(1).SID)) {
		t.Errorf("got id %q", h.got[0].ID)
	}
}

func TestSMSOfARemovedBrand(t *testing.T) {
	h := &handset{}
	m := toPhone(1)
	m.Brand = "gone"
	if err := smsSender(t, h).Send(t.Context(), m); err != nil || len(h.got) != 1 {
		t.Errorf("got %d messages, %v", len(h.got), err)
	}
}

// TestUncertainOutcomeIsRemembered: the transport is told if an earlier try may
// have sent the message, because another one costs once more.
func TestUncertainOutcomeIsRemembered(t *testing.T) {
	for name, tt := range map[string]struct {
		first *sms.SendError
		want  bool
	}{
		"unsure":  {&sms.SendError{Reason: sms.ReasonTimeout, Again: true, Unsure: true}, true},
		"refused": {&sms.SendError{Reason: sms.ReasonRate, Again: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var seen []bool
				o := r.outbox(nil, func(c *Config) {
					c.Senders = map[threepid.Medium]Sender{threepid.MSISDN: senderFunc(func(_ context.Context, m verification.Message) error {
						seen = append(seen, m.Uncertain)
						if len(seen) == 1 {
							return tt.first
						}
						return nil
					})}
				})
				r.put(o, toPhone(1))
				o.Start()
				time.Sleep(5 * time.Minute) // of the bubble's own time
				r.stop(o)
				if len(seen) != 2 || seen[0] || seen[1] != tt.want {
					t.Errorf("the tries were told %v, want false and %v", seen, tt.want)
				}
				if e := r.diary.all(); len(e) == 0 || e[0].Reason != tt.first.Reason {
					t.Errorf("got events %+v, want reason %s first", e, tt.first.Reason)
				}
			})
		})
	}
}

// forPhones has an outbox send texts, by a transport that there is none of yet.
func forPhones(c *Config) { c.Senders[threepid.MSISDN] = nil }

// TestLostTryIsUncertain: what a process that died was sending may have been
// sent.
func TestLostTryIsUncertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		first := r.outbox(nil, forPhones)
		at := r.put(first, toPhone(1))
		if rec, err := first.claim(at); err != nil || rec == nil || rec.Uncertain {
			t.Fatalf("claim = %+v, %v", rec, err)
		}
		time.Sleep(DefaultSendTimeout + leaseMargin + time.Second)
		rec, err := r.outbox(nil, forPhones).claim(at)
		if err != nil || rec == nil || !rec.Uncertain {
			t.Errorf("claim after the lease = %+v, %v, want an uncertain record", rec, err)
		}
	})
}

func TestSMSErrorsSayNothing(t *testing.T) {
	h := &handset{fail: &sms.SendError{Reason: sms.ReasonRejected, Gateway: "main", Status: 400, Err: errors.New("no")}}
	err := smsSender(t, h).Send(t.Context(), toPhone(1))
	if err == nil || strings.Contains(err.Error(), "447400123456") || temporary(err) || reasonOf(err) != sms.ReasonRejected {
		t.Errorf("got %v", err)
	}
	bad := toPhone(1)
	bad.Token = "not-a-code"
	if err := smsSender(t, h).Send(t.Context(), bad); err == nil || strings.Contains(err.Error(), string(bad.Token)) {
		t.Errorf("got %v for a token that is no code", err)
	}
}
