// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

const mxid = "@alice:example.com"

func gone(address string) []Reader { return []Reader{{address, NoticeGone}} }

// notices are those that were put into the outbox.
func (f *fixture) notices() (list []Message) {
	for _, m := range f.outbox.messages() {
		if m.Notice != "" {
			list = append(list, m)
		}
	}
	return list
}

func wantLimited(t tb, err error) {
	t.Helper()
	if limit, ok := errors.AsType[*LimitError](err); !ok || limit.Limit != LimitNotices {
		t.Errorf("got error %v, want a limit of notices", err)
	}
}

// TestNoticesDoNotFloodAMailbox: the same notice comes three times at once, and
// three times a day after that, however the address is spelled; for one account
// ten changes of a kind are told.
func TestNoticesDoNotFloodAMailbox(t *testing.T) {
	f := newFixture(t)
	for i := range 20 {
		err := f.Notify(bg, Happened{}, gone(fmt.Sprintf("alice+%d@gmail.com", i)))
		if i < 3 && err != nil {
			t.Errorf("notice %d: %v", i, err)
		}
		if i >= 3 {
			wantLimited(t, err)
		}
	}
	if got := len(f.notices()); got != 3 {
		t.Errorf("%d notices were sent at once, want 3", got)
	}
	for range 24 * 10 {
		f.clock.Advance(time.Hour)
		_ = f.Notify(bg, Happened{}, gone("alice@gmail.com"))
	}
	if got := len(f.notices()); got > 3+3*10+1 || got < 3*10 {
		t.Errorf("%d notices were sent in ten days more, want about 30", got)
	}

	f = newFixture(t)
	for i := range 40 {
		err := f.Notify(bg, Happened{Account: mxid}, []Reader{{fmt.Sprintf("alice%d@example.com", i), NoticeAdded}})
		if i < 10 && err != nil {
			t.Errorf("change %d of an account: %v", i, err)
		}
		if i >= 10 {
			wantLimited(t, err)
		}
	}
}

// TestNoNoticeUsesUpAnother: whoever has taken an account cannot use up the
// notice that gives them away by making others, nor can a stranger by requests,
// by a refusal, or by the budget.
func TestNoNoticeUsesUpAnother(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.PerAddress, c.Messages = ratelimit.Limit{Burst: 2, Per: time.Hour}, ratelimit.Limit{Burst: 5, Per: time.Hour}
	})
	victim := "alice@example.com"
	for i := range 10 { // a stranger asks, until nothing is sent any more
		_, _ = f.RequestToken(bg, ask(secret(fmt.Sprint("s", i))))
		_, _ = f.RequestToken(bg, ask(mailbox(fmt.Sprintf("other%d@example.com", i)), secret(fmt.Sprint("s", i))))
	}
	first := f.outbox.messages()[0]
	if err := f.Refuse(bg, first.SID, first.Refusal, false); err != nil {
		t.Fatal(err)
	}
	for i := range 4 { // and a thief adds and removes addresses of theirs
		for range 30 {
			theirs := fmt.Sprintf("thief%d@example.com", i)
			_ = f.Notify(bg, Happened{Account: mxid}, []Reader{{theirs, NoticeNew}, {victim, NoticeAdded}})
			_ = f.Notify(bg, Happened{Account: mxid}, []Reader{{theirs, NoticeGone}, {victim, NoticeRemoved}})
		}
		f.clock.Advance(time.Hour)
	}
	before := len(f.notices())
	for _, notice := range []Notice{NoticeGone, NoticePassword, NoticeNew} {
		_ = f.Notify(bg, Happened{Account: mxid}, []Reader{{victim, notice}, {"thief1@example.com", NoticeRemoved}})
	}
	told := f.notices()[before:]
	if len(told) != 3 || told[0].Notice != NoticeGone || told[0].Address != victim {
		t.Errorf("told were %+v, want the victim, of three things", told)
	}
}

// TestNoticeProvesNothing: its session ended before it began.
func TestNoticeProvesNothing(t *testing.T) {
	f := newFixture(t)
	if err := f.Notify(bg, Happened{Account: mxid}, gone("alice@example.com")); err != nil {
		t.Fatal(err)
	}
	m := f.notices()[0]
	if m.Token != "" || m.Refusal != "" || m.Purpose != threepid.Notified {
		t.Errorf("the notice is %+v, want no token and no refusal", m)
	}
	for _, token := range []string{"", "0", m.ID} {
		if _, err := f.Submit(bg, Submission{SID: m.SID, Token: threepid.Token(token)}); !errors.Is(err, ErrRevoked) {
			t.Errorf("Submit with %q: %v, want %v", token, err, ErrRevoked)
		}
	}
	for _, p := range []threepid.Purpose{threepid.Register, threepid.Password, threepid.Add, threepid.Notified} {
		if a, err := f.Claim(bg, Completion{SID: m.SID, Purpose: p}); err != nil || a.Live {
			t.Errorf("claimed for %q: %+v, %v", p, a, err)
		}
	}
	wantErr(t, "Resend", f.Resend(bg, m.SID), ErrRevoked)
	if to, err := f.Recipient(bg, m.SID); to != ask().ThreePID || err != nil {
		t.Errorf("a bounce finds %v, %v", to, err)
	}
	if got, err := f.Describe(bg, m.SID); err != nil || got.Delivery != Waiting || got.Purpose != threepid.Notified {
		t.Errorf("the operator sees %+v, %v", got, err)
	}
}

// TestNoticeThatCannotBeStored is not counted, and each reader is told whatever
// becomes of the others.
func TestNoticeThatCannotBeStored(t *testing.T) {
	f := newFixture(t)
	f.outbox.refuse = errors.New("the outbox is full")
	for range 10 {
		wantErr(t, "Notify", f.Notify(bg, Happened{}, gone("alice@example.com")), f.outbox.refuse)
	}
	f.outbox.refuse = nil
	readers := []Reader{{"alice@example.com", NoticeRemoved}, {"alice+x@example.com", NoticeRemoved}, {"bob@example.com", NoticeGone}}
	if err := f.Notify(bg, Happened{}, readers); err != nil {
		t.Fatal(err)
	}
	if got := f.notices(); len(got) != 2 || got[0].Address != "alice@example.com" || got[1].Address != "bob@example.com" {
		t.Errorf("told were %+v, want alice and bob, once each", got)
	}
	var many []Reader
	for i := range 3 * MaxNotified {
		many = append(many, Reader{fmt.Sprintf("many%d@example.com", i), NoticeAdded})
	}
	if err := f.Notify(bg, Happened{}, many); err != nil || len(f.notices()) != 2+MaxNotified {
		t.Errorf("of one change %d are told (%v), want %d", len(f.notices())-2, err, MaxNotified)
	}
}

// TestNoticeSpeaksTheOwnersLanguage: the one in which the owner has confirmed
// something, not that of whoever made the change, nor that of who has only asked.
func TestNoticeSpeaksTheOwnersLanguage(t *testing.T) {
	f := newFixture(t)
	tell := func(address string) string {
		t.Helper()
		if err := f.Notify(bg, Happened{Language: "ja"}, gone(address)); err != nil {
			t.Fatal(err)
		}
		return f.outbox.last(f).Language
	}
	speaks := func(lang string) func(*Request) { return func(r *Request) { r.Language = lang } }
	f.open(ask(secret("stranger"), speaks("ko")))
	if got := tell("alice@example.com"); got != "ja" {
		t.Errorf("without a confirmation: got %q, want ja", got)
	}
	f.validated(ask(speaks("de")))
	f.clock.Advance(300 * 24 * time.Hour)
	f.open(ask(secret("stranger"), speaks("ko")))
	if got := tell("alice@example.com"); got != "de" {
		t.Errorf("got %q, want the language that was confirmed in, de", got)
	}
	if got := tell("bob@example.com"); got != "ja" {
		t.Errorf("of another: got %q, want ja", got)
	}
	f.clock.Advance(100 * 24 * time.Hour)
	if got := tell("alice@example.com"); got != "ja" {
		t.Errorf("after more than a year: got %q, want ja", got)
	}
}

// TestAnotherRequestIsTold of two that are open for one address and purpose, for
// as long as the other can prove something.
func TestAnotherRequestIsTold(t *testing.T) {
	f := newFixture(t)
	note := func(m Message) bool {
		t.Helper()
		another, err := f.NoteOpen(bg, m)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := f.NoteOpen(bg, m); again != another || err != nil {
			t.Errorf("a second try says %v (%v), the first %v", again, err, another)
		}
		return another
	}
	first := func() Message { f.open(ask(secret("one"))); return f.outbox.last(f) }()
	if note(first) {
		t.Error("the only request is told of another")
	}
	f.open(ask(secret("one"), attempt(2)))
	if note(f.outbox.last(f)) {
		t.Error("a second message of one session is another request")
	}
	for name, req := range map[string]Request{
		"another purpose": ask(secret("two"), purpose(threepid.Password)), "another address": ask(secret("two"), mailbox("bob@example.com")),
	} {
		if f.open(req); note(f.outbox.last(f)) {
			t.Errorf("%s counts as another", name)
		}
	}
	f.open(ask(secret("two")))
	second := f.outbox.last(f)
	if !note(second) {
		t.Error("of two the second is not told of the other")
	}
	found, err := f.Inspect(bg, Submission{SID: first.SID, Token: first.Token})
	if err != nil {
		t.Fatal(err)
	}
	wantAnother := func(when string, want bool) {
		t.Helper()
		if got, err := f.Another(bg, first.SID, found); got != want || err != nil {
			t.Errorf("%s: another is open: %v (%v), want %v", when, got, err, want)
		}
	}
	wantAnother("with two", true)
	f.clock.Advance(DefaultTokenLifetime)
	wantAnother("when its link has ended", false)
	f.open(ask(secret("three")))
	third := f.outbox.last(f)
	note(third)
	f.confirm(third.SID, third.Token)
	f.clock.Advance(DefaultTokenLifetime)
	wantAnother("when it was confirmed", true)
	done := f.claim(completes(third.SID, func(c *Completion) { c.ClientSecret = "three" }))
	f.proves(done)
	f.finish(done, Completed)
	wantAnother("when it was used", false)
	for i := range 3 * maxOpen {
		f.clock.Advance(time.Hour)
		f.open(ask(secret(fmt.Sprint("many", i))))
		note(f.outbox.last(f))
	}
	wantAnother("with many", true)
	if err := f.RevokeSession(bg, f.outbox.last(f).SID); err != nil {
		t.Fatal(err)
	}
	wantAnother("when the last was revoked", false)
}

// TestMessageSaysWhereItWasAskedFor: each message its own, and a message that the
// operator sends again that of the one before.
func TestMessageSaysWhereItWasAskedFor(t *testing.T) {
	f := newFixture(t)
	from := func(program string) func(*Request) {
		return func(r *Request) { r.Origin = provenance.Origin{Program: program} }
	}
	opened := f.clock.Now()
	sid := f.open(ask(from("Element"))).SID
	f.clock.Advance(time.Minute)
	f.open(ask(from("Riot"), attempt(2)))
	if err := f.Resend(bg, sid); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range f.outbox.messages() {
		got = append(got, m.Origin.Program)
	}
	if want := "[Element Riot Riot]"; fmt.Sprint(got) != want {
		t.Errorf("the messages come from %v, want %s", got, want)
	}
	found, err := f.Inspect(bg, Submission{SID: sid, Token: f.outbox.last(f).Token})
	if err != nil || found.Origin.Program != "Riot" || !found.Asked.Equal(opened.Add(time.Minute)) {
		t.Errorf("the page says %v at %v (%v)", found.Origin, found.Asked, err)
	}
}
