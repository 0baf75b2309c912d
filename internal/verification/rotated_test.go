// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// rotate puts another key in front of those of the fixture, as the running
// server does: in the ring that everybody shares.
func (f *fixture) rotate() {
	f.Helper()
	keys := []keyring.Key{}
	for _, k := range f.keys.Keys() {
		keys = append(keys, testKey(k.ID))
	}
	f.renew(append([]keyring.Key{testKey(keys[0].ID + 1)}, keys...)...)
}

// renew gives the fixture's ring these keys.
func (f *fixture) renew(keys ...keyring.Key) {
	f.Helper()
	ring, err := keyring.New(keys...)
	if err != nil {
		f.Fatalf("keyring: %v", err)
	}
	f.keys.Replace(ring)
}

// testKey is the key of an id; the first is the one of every fixture.
func testKey(id byte) keyring.Key {
	return keyring.Key{ID: id, Secret: bytes.Repeat([]byte{'k' - 1 + id}, keyring.SecretSize)}
}

// journey is a session on its way, with what its client, its reader and its
// homeserver hold in their hands.
type journey struct {
	*fixture
	nonce   threepid.Nonce
	sid     threepid.SID
	message Message
	alias   *Alias
}

// steps are the life of a session, from a client's request to its end.
var steps = []struct {
	name string
	run  func(j *journey) error
}{
	{"await", func(j *journey) (err error) {
		j.nonce, err = j.Await(bg, ask())
		return err
	}},
	{"callback", func(j *journey) error {
		opened, err := j.Callback(bg, j.nonce, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"})
		j.sid = opened.SID
		if err == nil {
			j.message = j.outbox.last(j)
		}
		return err
	}},
	{"callback again", func(j *journey) error {
		return j.same(j.Callback(bg, j.nonce, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"}))
	}},
	{"settle", func(j *journey) error {
		opened, err := j.Settle(bg, j.nonce, false)
		if opened.SID != j.sid || !opened.Sent {
			err = errors.Join(err, fmt.Errorf("settled %+v", opened))
		}
		return err
	}},
	{"the same attempt", func(j *journey) error { return j.same(j.RequestToken(bg, ask())) }},
	{"due", func(j *journey) error {
		due, _, err := j.Due(bg, ask())
		if due {
			err = errors.New("a repetition is due")
		}
		return err
	}},
	{"open the link", func(j *journey) error {
		_, err := j.Inspect(bg, Submission{SID: j.sid, Token: j.message.Token})
		return err
	}},
	{"open the other link", func(j *journey) error {
		_, err := j.InspectRefusal(bg, j.sid, j.message.Refusal)
		return err
	}},
	{"poll", func(j *journey) error {
		a, err := j.Claim(bg, completes(j.sid))
		if err == nil && a.Live {
			err = errors.New("proven before it was confirmed")
		}
		return err
	}},
	{"confirm", func(j *journey) error {
		secret := threepid.ClientSecret("monkeys_are_GREAT")
		_, err := j.Submit(bg, Submission{SID: j.sid, Token: j.message.Token, ClientSecret: &secret})
		return err
	}},
	{"the same attempt after it", func(j *journey) error { return j.same(j.RequestToken(bg, ask())) }},
	{"claim", func(j *journey) (err error) {
		j.alias, err = j.Claim(bg, completes(j.sid))
		if err == nil && !j.alias.Live {
			err = errors.New("the alias is not live")
		}
		return err
	}},
	{"prove", func(j *journey) error { return j.proven(true) }},
	{"finish", func(j *journey) error { return j.Finish(bg, j.alias, Completed) }},
	{"prove again", func(j *journey) error { return j.proven(false) }},
	{"replay", func(j *journey) error {
		a, err := j.Claim(bg, completes(j.sid))
		if err == nil && (a.Live || !a.Replayed) {
			err = fmt.Errorf("used up, and got %+v", a)
		}
		return err
	}},
}

// same checks the answer to a repetition.
func (j *journey) same(opened Opened, err error) error {
	if err == nil && (opened.SID != j.sid || opened.Sent) {
		err = fmt.Errorf("got %+v, want session %s and nothing sent", opened, j.sid)
	}
	return err
}

func (j *journey) proven(want bool) error {
	if got := j.proves(j.alias); got != want {
		return fmt.Errorf("proven %v, want %v", got, want)
	}
	return nil
}

// TestSessionAcrossARotation goes through the life of a session with a rotation
// between each two steps, and once with one between all of them.
func TestSessionAcrossARotation(t *testing.T) {
	for at := range len(steps) + 1 {
		name := "everywhere"
		if at < len(steps) {
			name = "before " + steps[at].name
		}
		t.Run(name, func(t *testing.T) {
			j := &journey{fixture: newFixture(t)}
			for i, step := range steps {
				if i == at || at == len(steps) {
					j.rotate()
				}
				if err := step.run(j); err != nil {
					t.Fatalf("%s: %v", step.name, err)
				}
			}
			if got := len(j.outbox.messages()); got != 1 {
				t.Errorf("%d messages were sent, want 1", got)
			}
			if n := j.entries(kindAlias) + j.entries(kindNonce); n != 0 {
				t.Errorf("%d aliases and nonces are left, want none", n)
			}
			if got := j.record(j.sid); got == nil || got.State != Consumed {
				t.Errorf("the session is %+v, want it used up", got)
			}
		})
	}
}

// TestForeignKeysProveNothing: with a key that the ring has not, all the same
// steps fail. The test above could not.
func TestForeignKeysProveNothing(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	m := f.outbox.last(t)
	f.renew(testKey(7))
	if f.Owns(sid) {
		t.Error("a sid of another key is taken for ours")
	}
	_, err := f.InspectRefusal(bg, sid, m.Refusal)
	wantErr(t, "InspectRefusal", err, ErrNoSession)
	if f.PressCodeValid(sid, m.Token, PressCode(ring(t, 'k'), sid, m.Token)) {
		t.Error("a press code of another key is right")
	}
	if got := f.open(ask()); got.SID == sid || !got.Sent {
		t.Errorf("got %+v, want another session", got)
	}
}

// TestStatelessAcrossARotation: what is stored nowhere and stands in links,
// mails and clients.
func TestStatelessAcrossARotation(t *testing.T) {
	f := newFixture(t)
	uia := f.UIASession("@u:example.com", "op")
	sid := f.open(ask()).SID
	m := f.outbox.last(t)
	code, pseudonym, origin := PressCode(f.keys, sid, m.Token), f.Pseudonym("alice@example.com"), Origin(f.keys, sid)
	f.rotate()
	if !f.UIASessionValid(uia, "@u:example.com", "op") || f.UIASessionValid(uia, "@v:example.com", "op") {
		t.Error("the UIA session is not recognised, or is anybody's")
	}
	if !f.PressCodeValid(sid, m.Token, code) {
		t.Error("the code in the mail is not recognised")
	}
	if found, err := f.FindByPseudonym(bg, pseudonym); err != nil || len(found) != 1 {
		t.Errorf("the pseudonym in the log finds %v (%v)", found, err)
	}
	if got := Origin(f.keys, sid); origin != 0 || got != 1 {
		t.Errorf("the session's key is number %d and then %d, want 0 and 1", origin, got)
	}
	for _, other := range []string{"", "none", string(sid[:31] + "!")} {
		if got := Origin(f.keys, threepid.SID(other)); got != 0 {
			t.Errorf("%q is of key %d, want the one in use", other, got)
		}
	}
	if err := f.Refuse(bg, sid, m.Refusal, false); err != nil {
		t.Errorf("Refuse: %v", err)
	}
	f.rotate()
	var limit *LimitError
	if _, err := f.RequestToken(bg, ask(secret("other"))); !errors.As(err, &limit) {
		t.Errorf("a request while the address cools down: %v, want a limit", err)
	}
}

// TestLanguageAcrossARotation: it is that of the owner, whichever key it is kept under.
func TestLanguageAcrossARotation(t *testing.T) {
	f := newFixture(t)
	f.validated(ask(func(r *Request) { r.Language = "de" }))
	f.rotate()
	if got := f.languageOf(bg, ask().ThreePID); got != "de" {
		t.Errorf("got %q, want de", got)
	}
}

// TestAdoptedAcrossARotation: the homeserver's own sessions.
func TestAdoptedAcrossARotation(t *testing.T) {
	f := newFixture(t)
	if err := f.Adopt(bg, "12", "nonce", ask()); err != nil {
		t.Fatal(err)
	}
	f.rotate()
	if got, err := f.Adopted(bg, "12", "monkeys_are_GREAT", threepid.Register); err != nil || got != "nonce" {
		t.Errorf("Adopted = %q, %v", got, err)
	}
	_, err := f.Adopted(bg, "12", "other", threepid.Register)
	wantErr(t, "Adopted with another secret", err, ErrNoSession)
}

// TestLimitsAcrossARotation: a rotation gives nobody another go.
func TestLimitsAcrossARotation(t *testing.T) {
	limits := ratelimit.Limit{Burst: 2, Per: time.Hour}
	f := newFixture(t, func(c *Config) { c.PerAddress, c.User = limits, limits })
	attempt := int64(0)
	count := func() (address, user bool) {
		var limit *LimitError
		attempt++ // what repeats a request costs less
		_, err := f.RequestToken(bg, ask(func(r *Request) { r.SendAttempt = attempt }))
		return errors.As(err, &limit), errors.As(f.CountUser(bg, "add", "@u:example.com"), &limit)
	}
	for i, want := range []bool{false, false, true} {
		f.rotate()
		if address, user := count(); address != want || user != want {
			t.Errorf("request %d was limited %v and %v, want %v", i+1, address, user, want)
		}
	}
	f.clock.Advance(time.Hour)
	if address, user := count(); address || user {
		t.Error("limited after the time was over")
	}
}

// bound are the bindings of a user as a test compares them.
func (f *fixture) bound(user string) (list []string) {
	f.Helper()
	all, err := f.Bindings(bg, user)
	if err != nil {
		f.Fatalf("Bindings: %v", err)
	}
	for _, b := range all {
		list = append(list, b.Address+" at "+b.IDServer)
	}
	slices.Sort(list)
	return list
}
