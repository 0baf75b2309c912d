// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// The model of sends, retries, deaths and refusals: plain facts about messages.
type modelMail struct {
	m      verification.Message
	at     ref
	state  verification.DeliveryState
	tries  int
	sends  int       // that the relay took
	due    time.Time // not before
	lease  time.Time // until when a process that died has it
	closed bool      // it is to be sent no more
	// A process that died holds it; it may have been sent, which is being done, or
	// was, for the second time.
	dead, uncertain, again bool
}

type modelSession struct {
	sid     threepid.SID
	refusal threepid.RefusalToken
	revoked bool
	attempt int64
	mails   []*modelMail
}

// modelRun drives an outbox and a service beside the model.
type modelRun struct {
	svc      *verification.Service
	outbox   *Outbox
	now      time.Time
	begun    time.Time
	cool     time.Time
	sessions map[string]*modelSession // by client_secret
	all      []*modelSession
	put      []verification.Message // since the last look
	// relay is what the transport does next; heard is what it was given.
	relay func(verification.Message) error
	heard []string
}

// tapped sees what is put into the outbox.
type tapped struct {
	*Outbox
	run *modelRun
}

func (t tapped) Wake(_ store.Partition, id string) {
	t.run.put = append(t.run.put, verification.Message{ID: id})
}

// topmost draws the longest delay, which a model can know, and lease names that
// differ.
type topmost struct{ n byte }

func (r *topmost) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 0xff
	}
	if len(p) != 8 {
		r.n++
		p[0] = r.n
	}
	return len(p), nil
}

func newModelRun(t *rapid.T) *modelRun {
	// Everything is stored in milliseconds; between two of them no rounding
	// decides what comes first.
	start := time.Date(2026, 2, 3, 4, 5, 6, 500_000, time.UTC)
	run := &modelRun{now: start, begun: start, sessions: map[string]*modelSession{}}
	clock := func() time.Time { return run.now }
	keys, memory := testKeys(t, 1), storetest.NewMemory(clock)
	run.outbox = New(Config{Store: memory, Keys: keys, Now: clock, Random: &topmost{}, Transports: Transports{Senders: map[threepid.Medium]Sender{
		threepid.Email: senderFunc(func(_ context.Context, m verification.Message) error {
			run.heard = append(run.heard, m.ID)
			return run.relay(m)
		}),
	}}})
	var err error
	run.svc, err = verification.NewService(verification.Config{
		Store: memory, Keys: keys, Outbox: tapped{run.outbox, run}, Now: clock, Cooldown: 3 * time.Hour,
	})
	if err != nil {
		t.Fatalf("NewService: %v", err)
	}
	return run
}

// TestModelOfRefusalsAndRetries: in every history of requests, refusals, tries
// that end in every way there is, deaths of the process and time, a message is
// sent exactly when it should be, and the operator is told the truth.
func TestModelOfRefusalsAndRetries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := newModelRun(t)
		t.Repeat(map[string]func(*rapid.T){
			"request": run.request,
			"sent":    func(t *rapid.T) { run.work(t, nil) },
			"later":   func(t *rapid.T) { run.work(t, sendError{text: "later", temporary: true}) },
			"never":   func(t *rapid.T) { run.work(t, sendError{text: "never"}) },
			"unknown": func(t *rapid.T) { run.work(t, lateError{sendError{text: "lost", temporary: true}}) },
			"dies":    run.die,
			"refuse":  run.refuse,
			"crossed": run.refuseWhileSending,
			"wait":    run.wait,
			"":        run.invariants,
		})
		run.finish(t)
	})
}

func (run *modelRun) request(t *rapid.T) {
	secret := fmt.Sprint("s", rapid.IntRange(0, 2).Draw(t, "client"))
	req := ask(secret)
	s := run.sessions[secret]
	if s != nil && !s.revoked {
		req.SendAttempt = s.attempt + rapid.Int64Range(0, 1).Draw(t, "more")
	}
	run.put = nil
	opened, err := run.svc.RequestToken(context.Background(), req)
	if run.now.Before(run.cool) {
		var limit *verification.LimitError
		if !errors.As(err, &limit) || limit.RetryAfter != run.cool.Sub(run.now) || len(run.put) != 0 {
			t.Fatalf("RequestToken = %+v, %v, while the address cools down", opened, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("RequestToken: %v", err)
	}
	if s == nil || s.revoked {
		s = &modelSession{sid: opened.SID}
		run.sessions[secret] = s
		run.all = append(run.all, s)
	}
	due := req.SendAttempt > s.attempt
	s.attempt = max(s.attempt, req.SendAttempt)
	if opened.SID != s.sid || opened.Sent != due || (len(run.put) == 1) != due {
		t.Fatalf("RequestToken = %+v with %d messages, want sid %q, sent %v", opened, len(run.put), s.sid, due)
	}
	if !due {
		return
	}
	key, _ := verification.OutboxKey(run.put[0].ID)
	mail := &modelMail{at: ref{partitionOf(string(opened.SID)), key}, state: verification.Waiting}
	rec, err := run.read(mail.at)
	if err != nil || rec.Message.Attempt != req.SendAttempt {
		t.Fatalf("the message put is %+v, %v", rec, err)
	}
	mail.m, s.refusal = rec.Message, rec.Message.Refusal
	s.mails = append(s.mails, mail)
}

// pick draws a message of a session.
func (run *modelRun) pick(t *rapid.T) (*modelSession, *modelMail) {
	if len(run.all) == 0 {
		t.Skip("there is no session yet")
	}
	s := run.all[rapid.IntRange(0, len(run.all)-1).Draw(t, "session")]
	return s, s.mails[rapid.IntRange(0, len(s.mails)-1).Draw(t, "message")]
}

// ready reports whether a message is to be tried now; if it has expired, it is
// to be given up instead, unless the store has forgotten it already.
func (run *modelRun) ready(mail *modelMail) (try, giveUp bool) {
	if mail.closed || run.now.Before(mail.lease) {
		return false, false
	}
	if !run.now.Before(mail.m.Expires) {
		return false, run.now.Before(mail.m.Expires.Add(afterlife))
	}
	if mail.dead && mail.again {
		return false, !run.now.Before(mail.due)
	}
	return !run.now.Before(mail.due), false
}

// gaveUp is what is known of a message that is not to be tried any more.
func (mail *modelMail) gaveUp() verification.DeliveryState {
	if mail.dead && mail.again {
		return verification.Uncertain
	}
	return verification.Failed
}

// begin is what a try leaves behind before it ends.
func (mail *modelMail) begin() {
	mail.uncertain = mail.uncertain || mail.dead
	mail.again, mail.dead = mail.uncertain, false
}

// work lets the outbox look at a message, with a relay that answers so.
func (run *modelRun) work(t *rapid.T, answer error) {
	_, mail := run.pick(t)
	run.workOn(t, mail, func(verification.Message) error { return answer })
	run.settled(mail, answer)
}

// workOn compares whether the relay was asked.
func (run *modelRun) workOn(t *rapid.T, mail *modelMail, relay func(verification.Message) error) (tried bool) {
	try, giveUp := run.ready(mail)
	run.heard, run.relay = nil, relay
	run.outbox.deliver(run.outbox.now(), mail.at)
	if asked := len(run.heard); asked > 1 || (asked == 1) != try || asked == 1 && run.heard[0] != mail.m.ID {
		t.Fatalf("the relay was given %v, want %s: %v", run.heard, mail.m.ID, try)
	}
	if giveUp {
		mail.state, mail.closed = mail.gaveUp(), true
	}
	if try {
		mail.begin()
		mail.tries++
		mail.due = time.Time{} // a mark for settled
		mail.lease = run.now
	}
	return try
}

// settled applies what the relay answered, if it was asked.
func (run *modelRun) settled(mail *modelMail, answer error) {
	if mail.closed || mail.tries == 0 || !mail.due.IsZero() {
		return
	}
	left := mail.m.Expires.Sub(run.now)
	second := mail.again
	mail.again = false
	switch {
	case late(mail.m, answer):
		mail.uncertain = true
		mail.sends++ // perhaps
		wait := min(DefaultLateness, left/2)
		if mail.closed = second || wait < backoffBase; mail.closed {
			mail.state = verification.Uncertain
			return
		}
		mail.state, mail.due = verification.Deferred, run.now.Add(wait+min(backoffBase, left-wait)-time.Nanosecond).Truncate(time.Millisecond)
	case answer == nil:
		mail.sends++
		mail.state, mail.closed = verification.Delivered, true
	case !temporary(answer) || left < backoffBase:
		mail.state, mail.closed = verification.Failed, true
	default:
		limit := backoffBase
		for range mail.tries - 1 {
			limit = min(2*limit, backoffCap)
		}
		// The longest delay drawn is a nanosecond less, and times are stored
		// in milliseconds.
		mail.state, mail.due = verification.Deferred, run.now.Add(min(limit, left)-time.Nanosecond).Truncate(time.Millisecond)
	}
}

// die is a process that is killed after it has claimed a message: the relay may
// have taken it or not.
func (run *modelRun) die(t *rapid.T) {
	_, mail := run.pick(t)
	try, giveUp := run.ready(mail)
	rec, err := run.outbox.claim(mail.at)
	if err != nil || (rec != nil) != (try || giveUp) || rec != nil && (rec.Lease != "") != try {
		t.Fatalf("claim = %+v, %v, want a lease: %v", rec, err, try)
	}
	if giveUp {
		mail.state, mail.closed = mail.gaveUp(), true
	}
	if try {
		mail.begin()
		if mail.dead = true; rec.Uncertain != mail.uncertain {
			t.Fatalf("claim = %+v, want uncertain: %v", rec, mail.uncertain)
		}
		early := mail.uncertain && rapid.Bool().Draw(t, "before its turn")
		if mail.again = mail.uncertain && !early; mail.again { // which is noted when its turn comes
			if rec, err = run.outbox.renew(mail.at, rec); err != nil || !rec.Again {
				t.Fatalf("renew = %+v, %v, want it noted that it is the last time", rec, err)
			}
		}
		mail.lease = run.now.Add(DefaultSendTimeout + leaseMargin)
		if !early && rapid.Bool().Draw(t, "taken") {
			mail.sends++ // and nobody knows; it will be sent again, once
		}
	}
}

func (run *modelRun) refuse(t *rapid.T) {
	s, _ := run.pick(t)
	run.apply(t, s, nil)
}

// refuseWhileSending is a refusal that comes too late for one message.
func (run *modelRun) refuseWhileSending(t *rapid.T) {
	s, mail := run.pick(t)
	answer := rapid.SampledFrom([]error{nil, sendError{text: "later", temporary: true}, sendError{text: "never"}}).Draw(t, "answer")
	run.workOn(t, mail, func(verification.Message) error {
		run.apply(t, s, mail)
		return answer
	})
	if mail.due.IsZero() && mail.closed && answer == nil && len(run.heard) == 1 {
		mail.sends++
	}
}

// apply refuses a session, while one of its messages may be under way.
func (run *modelRun) apply(t *rapid.T, s *modelSession, underWay *modelMail) {
	if err := run.svc.Refuse(context.Background(), s.sid, s.refusal, false); err != nil {
		t.Fatalf("Refuse: %v", err)
	}
	if !s.revoked { // the cool-down begins with the first refusal
		s.revoked = true
		if end := run.now.Truncate(time.Millisecond).Add(3 * time.Hour); end.After(run.cool) {
			run.cool = end
		}
	}
	for _, mail := range s.mails {
		if mail.closed {
			continue
		}
		if mail.state = run.known(mail); mail.state != verification.Unnoted {
			mail.state = verification.Failed
		}
		mail.closed = true
		if mail == underWay {
			mail.due = time.Time{}
		}
	}
}

// wait lets time pass, but not so much that sessions end: that is the domain's
// own model.
func (run *modelRun) wait(t *rapid.T) {
	steps := []time.Duration{
		time.Second, backoffBase, time.Minute, DefaultSendTimeout + leaseMargin, backoffCap, 20 * time.Minute, time.Hour, 3 * time.Hour,
	}
	step := rapid.SampledFrom(steps).Draw(t, "wait") + rapid.SampledFrom([]time.Duration{0, 0, -time.Millisecond, time.Millisecond}).Draw(t, "and")
	if run.now.Add(step).Sub(run.begun) < 20*time.Hour {
		run.now = run.now.Add(step)
	}
}

// known is what can be known of a message. One that has vanished from the store
// at its end, when nobody was there to see, was not sent if that was tried; if
// not, there is no trace of it.
func (run *modelRun) known(mail *modelMail) verification.DeliveryState {
	if mail.closed || run.now.Before(mail.m.Expires.Add(afterlife)) {
		return mail.state
	}
	if mail.state == verification.Deferred {
		return verification.Failed
	}
	return verification.Unnoted
}

// invariants: the operator is told what became of the newest message, and nobody
// gets more than two of one.
func (run *modelRun) invariants(t *rapid.T) {
	for _, s := range run.all {
		for _, mail := range s.mails {
			if mail.sends > 2 {
				t.Fatalf("message %s was sent %d times", mail.m.ID, mail.sends)
			}
		}
		newest := s.mails[len(s.mails)-1]
		want := run.known(newest)
		a, err := run.svc.Describe(context.Background(), s.sid)
		if err != nil || a.Delivery != want || (a.State == verification.Revoked) != s.revoked {
			t.Fatalf("Describe = %+v, %v, want delivery %q, revoked %v", a, err, want, s.revoked)
		}
	}
}

// finish lets the relay take everything, until nothing is due any more: what was
// neither refused nor too late has been sent.
func (run *modelRun) finish(t *rapid.T) {
	for range 12 {
		for _, s := range run.all {
			for _, mail := range s.mails {
				run.workOn(t, mail, func(verification.Message) error { return nil })
				run.settled(mail, nil)
			}
		}
		run.now = run.now.Add(backoffCap)
	}
	for _, s := range run.all {
		for _, mail := range s.mails {
			if !mail.closed && run.now.Before(mail.m.Expires) {
				t.Fatalf("message %s is still there", mail.m.ID)
			}
		}
	}
}

func (run *modelRun) read(at ref) (rec *record, err error) {
	err = run.outbox.cfg.Store.View(context.Background(), at.partition, func(txn store.Txn) (err error) {
		rec, err = run.outbox.codec.get(txn, at.key)
		return err
	})
	return rec, err
}
