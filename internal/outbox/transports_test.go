// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// by are transports that send with a mailbox.
func (r *rig) by(box *mailbox) Transports {
	return Transports{Observer: r.diary, Senders: map[threepid.Medium]Sender{threepid.Email: box}}
}

// rare is an outbox that has no transports yet, and hardly ever searches by itself.
func (r *rig) rare(change ...func(*Config)) *Outbox {
	return r.outbox(nil, append(change, func(c *Config) { c.Transports, c.Sweep = Transports{}, time.Hour })...)
}

// TestTheOldestTransportsAreUsed until they are released: those of a configuration that is
// given up beside it have sent nothing. Without any, messages wait, and are sent at once
// when there are some.
func TestTheOldestTransportsAreUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, first, refused, second := newRig(t), &mailbox{}, &mailbox{}, &mailbox{}
		o := r.rare()
		n := 0
		var at ref
		send := func() {
			n++
			at = r.put(o, message(n))
			o.Wake(at.partition, message(n).ID)
			synctest.Wait()
		}
		send() // nobody is there
		r.wantStored(1)
		endFirst := o.Use(r.by(first))
		synctest.Wait()
		wantSends(t, first, 1, 1)
		endRefused := o.Use(r.by(refused))
		send()
		endRefused()
		endRefused()
		send()
		wantSends(t, first, 3, 3)
		wantSends(t, refused, 0, 0)
		endSecond := o.Use(r.by(second))
		send()
		wantSends(t, first, 4, 4)
		endFirst()
		send()
		wantSends(t, second, 1, 1)
		endSecond()
		send()
		r.wantStored(1)
		if rec, err := r.open(o, at); err != nil || rec.Tries != 0 || rec.Lease != "" {
			t.Errorf("a message that waits is %+v, %v, want it untouched", rec, err)
		}
		o.Use(r.by(second))
		synctest.Wait()
		wantSends(t, second, 2, 2)
		r.wantStored(0)
		r.stop(o)
	})
}

// TestWhatNoTransportIsForWaits, untouched, which the operator is told once; it is sent by
// the next that can, or expires.
func TestWhatNoTransportIsForWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		o := r.outbox(nil, func(c *Config) { c.Transports, c.Sweep = Transports{}, time.Minute })
		one, other := r.put(o, message(1)), message(2)
		other.Expires = time.Now().Add(10 * time.Minute)
		r.put(o, other)
		release := o.Use(Transports{Observer: r.diary, Senders: map[threepid.Medium]Sender{threepid.MSISDN: &mailbox{}}})
		o.Wake(one.partition, message(1).ID)
		time.Sleep(20 * time.Minute)
		r.wantOutcomes(strings.Repeat("deferred ", 2) + "expired")
		if rec, err := r.open(o, one); err != nil || rec.Tries != 0 || rec.Lease != "" {
			t.Errorf("a message that waits is %+v, %v, want it untouched", rec, err)
		}
		o.Use(r.by(box))
		release()
		synctest.Wait()
		wantSends(t, box, 1, 1)
		r.stop(o)
	})
}

// TestWhatIsInFlightEndsWithItsTransport, however long that takes; what waits for a turn
// behind it does not wait for it any more.
func TestWhatIsInFlightEndsWithItsTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, next := newRig(t), &mailbox{}
		slow := &mailbox{fail: func(context.Context, verification.Message) error {
			time.Sleep(30 * time.Second)
			return nil
		}}
		o := r.rare(oneWorker)
		for n := range 5 {
			r.put(o, message(n))
		}
		end := o.Use(r.by(slow))
		synctest.Wait()
		wantSends(t, slow, 1, 1)
		endNext := o.Use(r.by(next))
		end()
		synctest.Wait()
		wantSends(t, next, 4, 4)
		r.wantStored(1)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		wantSends(t, slow, 1, 1)
		wantSends(t, next, 4, 4)
		r.wantStored(0)
		r.wantOutcomes(strings.TrimSpace(strings.Repeat("sent ", 5)))
		endNext()
		r.stop(o)
	})
}

// TestWhatIsKnownOfTransportsGoesWithThem: how many may wait, what went wrong, and how
// many are being sent.
func TestWhatIsKnownOfTransportsGoesWithThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		broken := &mailbox{fail: func(context.Context, verification.Message) error { return sendError{text: "no paper left"} }}
		o := r.rare()
		with := r.by(broken)
		with.MaxQueued = 7
		end := o.Use(with)
		r.put(o, message(1))
		o.Wake(partitionOf(message(1).ID), message(1).ID)
		synctest.Wait()
		status, err := o.Status(t.Context())
		if err != nil || status.MaxQueued != 7 || len(status.Errors) != 1 || status.Errors[0].Text != "no paper left" {
			t.Errorf("got %+v, %v, want 7 and what went wrong", status, err)
		}
		o.Use(r.by(&mailbox{}))
		end()
		status, err = o.Status(t.Context())
		if err != nil || status.MaxQueued != DefaultMaxQueued || len(status.Errors) != 0 || status.InFlight != 0 {
			t.Errorf("got %+v, %v, want nothing of those of before", status, err)
		}
		r.stop(o)
	})
}

// slowly is a store, and what is asked of it, of which everything takes its time.
type slowly struct{ store.Store }

func (s slowly) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	time.Sleep(time.Second)
	return s.Store.Update(ctx, p, fn)
}

func (slowly) NoteOpen(context.Context, verification.Message) (bool, error) {
	time.Sleep(2 * time.Second)
	return false, nil
}

func (slowly) Explain(context.Context, verification.Message) (bool, error) {
	time.Sleep(2 * time.Second)
	return true, nil
}

func (slowly) Explained(context.Context, verification.Message, bool) error { return nil }

// TestNothingBeginsWithTransportsOfBefore, nor when the outbox stops, whatever a message
// was waiting for when they ended: its lease, a look at the suppression list, whether to
// be sent, or what to mention. It is sent with the next.
func TestNothingBeginsWithTransportsOfBefore(t *testing.T) {
	for name, wait := range map[string]func(c *Config, first *Transports, m *verification.Message){
		"lease": func(c *Config, _ *Transports, _ *verification.Message) { c.Store = slowly{c.Store} },
		"list": func(_ *Config, first *Transports, _ *verification.Message) {
			first.Suppressed = func(context.Context, verification.Message) (string, error) {
				time.Sleep(2 * time.Second)
				return "", nil
			}
		},
		"whether": func(_ *Config, first *Transports, m *verification.Message) {
			m.Decoy, m.Token = true, ""
			first.Senders[threepid.Email] = &DecoySender{first.Senders[threepid.Email], slowly{}}
		},
		"what": func(_ *Config, first *Transports, _ *verification.Message) {
			first.Senders[threepid.Email] = &MentionSender{first.Senders[threepid.Email], slowly{}}
		},
	} {
		for _, stops := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				r, former, second := newRig(t), &relay{}, &mailbox{}
				m := message(1)
				m.Proof = verification.ProofLink
				with := Transports{Senders: map[threepid.Medium]Sender{threepid.Email: newMailSender(t, former)}}
				o := r.rare(func(c *Config) { wait(c, &with, &m) })
				at := r.put(o, m)
				err := r.store.Update(t.Context(), at.partition, func(txn store.Txn) error {
					return o.codec.put(txn, at.key, &record{Message: m, Uncertain: true}) // its lease is renewed
				})
				if err != nil {
					t.Fatal(err)
				}
				release := o.Use(with)
				time.Sleep(1500 * time.Millisecond)
				if stops {
					r.stop(o)
					o = r.rare()
				}
				o.Use(r.by(second))
				release()
				time.Sleep(time.Minute)
				if len(former.mails) > 0 {
					t.Errorf("%s, %v: sent with the former", name, stops)
				}
				wantSends(t, second, 1, 1)
				r.stop(o)
			})
		}
	}
}
