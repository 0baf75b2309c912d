// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// told is a request that says everything, and another one that says something else.
func told(t tb, n int64) Request {
	t.Helper()
	text := string(rune('a' + n))
	return ask(purpose(threepid.Add), attempt(n), func(r *Request) {
		r.Typed, r.NextLink, r.Language, r.Brand = text+"lice", "https://"+text+".example/", text, "brand "+text
		r.Origin = provenance.Origin{Program: text, System: "s" + text, Network: "n" + text}
	})
}

// TestWhatIsAskedArrives in the message, in the session, at the operator, and on the
// page, by whichever way it was asked: when a session is opened, and when it goes on.
func TestWhatIsAskedArrives(t *testing.T) {
	asked := map[string]func(*fixture, Request) string{
		"at once":           func(f *fixture, r Request) string { return string(f.open(r).SID) },
		"by the homeserver": func(f *fixture, r Request) string { return string(f.granted(r).SID) },
		"held, and then sent": func(f *fixture, r Request) string {
			held("u")(&r)
			sid := f.hold(r)
			f.advance("u")
			return string(sid)
		},
	}
	for way, do := range asked {
		f := newFixture(t)
		for n := range int64(2) {
			if n > 0 && way == "held, and then sent" {
				do = asked["at once"] // there is nothing to wait for any more
			}
			req := told(t, n)
			f.clock.Advance(time.Minute)
			sid, now := do(f, req), f.clock.Now().Local()
			m, s := f.outbox.last(t), f.record(threepid.SID(sid))
			sends, opened := int(n)+1, now.Add(-time.Duration(n)*time.Minute)
			want := Message{
				ID: messageID(threepid.SID(sid), sends), SID: threepid.SID(sid), Purpose: threepid.Add, Medium: threepid.Email, Address: req.Address, Token: m.Token,
				Language: req.Language, Created: f.clock.Now(), Expires: now.Add(DefaultTokenLifetime), Brand: req.Brand,
				Refusal: f.refusal(threepid.SID(sid)), Attempt: n, Origin: req.Origin,
			}
			if m != want {
				t.Errorf("%s, %d: the message is\n%+v, want\n%+v", way, n, m, want)
			}
			if s.Typed != req.Typed || s.SendAttempt != n || s.Secret != f.secret(req.ClientSecret) || (s.Asked != 0) != (n > 0) {
				t.Errorf("%s, %d: the session is %+v", way, n, s)
			}
			page, err := f.Inspect(bg, Submission{SID: threepid.SID(sid), Token: m.Token})
			if want := (Confirmed{
				Purpose: threepid.Add, ThreePID: req.ThreePID, NextLink: req.NextLink, Language: req.Language, Brand: req.Brand,
				State: Pending, Delivery: Waiting, Asked: now, Origin: req.Origin,
			}); err != nil || page != want {
				t.Errorf("%s, %d: the page says\n%+v, %v, want\n%+v", way, n, page, err, want)
			}
			sight, err := f.Describe(bg, threepid.SID(sid))
			if want := (Admin{
				SID: threepid.SID(sid), Purpose: threepid.Add, Medium: threepid.Email, Pseudonym: f.Pseudonym(req.Address), State: Pending, Delivery: Waiting,
				Created: opened, Until: opened.Add(MaxLifetime), Sends: sends, Language: req.Language, Brand: req.Brand, Asked: now,
			}); err != nil || sight != want {
				t.Errorf("%s, %d: the operator sees\n%+v, %v, want\n%+v", way, n, sight, err, want)
			}
			if a := f.claim(completes(threepid.SID(sid))); a.Live || a.Typed != "" {
				t.Errorf("%s, %d: it is proven already: %+v", way, n, a)
			}
		}
	}
}

// TestHeldRequestIsKnown: of a message that waits, the page and the operator are told
// what it is about.
func TestHeldRequestIsKnown(t *testing.T) {
	f := newFixture(t)
	req := told(t, 1)
	held("u")(&req)
	sid := f.hold(req)
	s := f.record(sid)
	if s.Language != req.Language || s.Brand != req.Brand || s.NextLink != req.NextLink || s.Typed != req.Typed || s.Decoy {
		t.Errorf("the session is %+v", s)
	}
	got, err := f.Describe(bg, sid)
	if err != nil || !got.Held || got.Sends != 0 || got.Delivery != Unnoted || !got.Asked.Equal(f.clock.Now()) {
		t.Errorf("the operator sees %+v, %v", got, err)
	}
	f.advance("u")
	if got, err := f.Describe(bg, sid); err != nil || got.Held || got.Sends != 1 {
		t.Errorf("when it was sent, the operator sees %+v, %v", got, err)
	}
	// What is held behind a message says nothing about that.
	f.open(told(t, 2))
	more := told(t, 3)
	held("v")(&more)
	if _, err := f.Decoy(bg, f.await(more)); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Describe(bg, sid); err != nil || got.Held || got.Decoy {
		t.Errorf("with another one held, the operator sees %+v, %v", got, err)
	}
}

// TestNoticeIsWhole: what its reader and the operator are told, and for how long.
func TestNoticeIsWhole(t *testing.T) {
	f := newFixture(t)
	h := Happened{Account: mxid, Language: "fr", Brand: "club", Origin: provenance.Origin{Program: "Element"}}
	if err := f.Notify(bg, h, []Reader{{"alice@example.com", NoticeAdded}}); err != nil {
		t.Fatal(err)
	}
	m, now := f.outbox.last(t), f.clock.Now()
	want := Message{
		ID: messageID(m.SID, 1), SID: m.SID, Purpose: threepid.Notified, Medium: threepid.Email, Address: "alice@example.com", Language: "fr", Brand: "club",
		Created: now, Expires: now.Add(24 * time.Hour), Origin: h.Origin, Notice: NoticeAdded,
	}
	if m != want {
		t.Errorf("the message is\n%+v, want\n%+v", m, want)
	}
	got, err := f.Describe(bg, m.SID)
	if want := (Admin{
		SID: m.SID, Purpose: threepid.Notified, Medium: threepid.Email, Pseudonym: f.Pseudonym("alice@example.com"), State: Revoked, Delivery: Waiting,
		Created: now.Local(), Until: now.Add(24 * time.Hour).Local(), Sends: 1, Language: "fr", Brand: "club", Asked: now.Local(),
	}); err != nil || got != want {
		t.Errorf("the operator sees\n%+v, %v, want\n%+v", got, err, want)
	}
	if s := f.record(m.SID); s.Origin != h.Origin {
		t.Errorf("the session is %+v", s)
	}
}

// TestSessionsOfEarlierVersions do not say when they were opened, and nobody else does.
func TestSessionsOfEarlierVersions(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	f.overwrite(sid, func(value []byte) []byte {
		var s Session
		wantErr(t, "open", kindSession.Open(f.keys, sessionKey(sid), value, &s), nil)
		s.Created, s.Asked = 0, 0
		raw, err := encode(&s)
		wantErr(t, "encode", err, nil)
		return f.keys.Seal(sessionKey(sid), raw)
	})
	if got, err := f.Describe(bg, sid); err != nil || !got.Created.IsZero() || !got.Asked.IsZero() {
		t.Errorf("the operator sees %+v, %v, want no times", got, err)
	}
	if got, err := f.Recall(bg, sid); err != nil || !got.Asked.IsZero() {
		t.Errorf("the page says %+v, %v, want no time", got, err)
	}
}
