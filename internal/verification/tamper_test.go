// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// index is where a session is found again by its request, with the newest keys.
func (s *Service) index(req Request) string { return s.indexes(req, s.keys)[0] }

// TestErrorsTellNothing: a broken store entry is reported without its content.
func TestErrorsTellNothing(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	token := f.outbox.last(t).Token
	f.overwrite(sid, func(sealed []byte) []byte { return sealed[:len(sealed)-1] })
	_, err := f.Submit(bg, Submission{SID: sid, Token: token})
	wantErr(t, "Submit of a tampered session", err, keyring.ErrSealed)
	for _, s := range []string{sid, sid[2:], token, "alice"} {
		if strings.Contains(err.Error(), s) {
			t.Errorf("the error %q tells %q", err, s)
		}
	}
}

// overwrite changes the stored bytes of a session.
func (f *fixture) overwrite(sid string, change func([]byte) []byte) {
	f.Helper()
	p, _ := sealed.PartitionIn(sid)
	err := f.cfg.Store.Update(bg, p, func(txn store.Txn) error {
		sealed, err := txn.Get(sessionKey(sid))
		if err != nil {
			return err
		}
		return txn.Set(sessionKey(sid), change(sealed), time.Time{})
	})
	if err != nil {
		f.Fatalf("overwrite: %v", err)
	}
}

// TestTamperedSession: whoever can write to the store cannot make up a
// validated session, and no operation goes on with a changed one.
func TestTamperedSession(t *testing.T) {
	f := newFixture(t)
	sid := f.validated(ask())
	a := f.claim(completes(sid))
	token := f.outbox.last(t).Token
	var genuine []byte
	f.overwrite(sid, func(b []byte) []byte { genuine = b; return b })
	changes := map[string][]byte{"cut": genuine[:20], "empty": {}, "longer": append(append([]byte(nil), genuine...), 0)}
	for i := 0; i < len(genuine); i += 7 {
		changed := append([]byte(nil), genuine...)
		changed[i] ^= 0x40
		changes["byte "+string(rune('0'+i/7))] = changed
	}
	for what, changed := range changes {
		f.overwrite(sid, func([]byte) []byte { return changed })
		for name, call := range map[string]func() error{
			"Submit":       func() error { _, err := f.Submit(bg, Submission{SID: sid, Token: token}); return err },
			"Inspect":      func() error { _, err := f.Inspect(bg, Submission{SID: sid, Token: token}); return err },
			"Claim":        func() error { _, err := f.Claim(bg, completes(sid)); return err },
			"Validated":    func() error { _, err := f.Validated(bg, a.SID, a.ClientSecret); return err },
			"Finish":       func() error { return f.Finish(bg, a, Completed) },
			"RequestToken": func() error { _, err := f.RequestToken(bg, ask()); return err },
			"Refuse":       func() error { return f.Refuse(bg, sid, f.outbox.last(t).Refusal, false) },
			"Describe":     func() error { _, err := f.Describe(bg, sid); return err },
			"Resend":       func() error { return f.Resend(bg, sid) },
		} {
			if err := call(); !errors.Is(err, keyring.ErrSealed) {
				t.Errorf("%s: %s goes on: %v, want ErrSealed", what, name, err)
			}
		}
	}
	f.overwrite(sid, func([]byte) []byte { return genuine })
	if !f.proves(a) {
		t.Errorf("the genuine record proves nothing")
	}
}

// TestSwappedEntries: a sealed record opens under its own key only, so an
// entry cannot stand in for another one.
func TestSwappedEntries(t *testing.T) {
	f := newFixture(t)
	good := f.validated(ask())
	bad := f.open(ask(mailbox("victim@example.com"), secret("eve"))).SID
	var validated []byte
	f.overwrite(good, func(b []byte) []byte { validated = b; return b })
	f.overwrite(bad, func([]byte) []byte { return validated })
	_, err := f.Claim(bg, completes(bad))
	wantErr(t, "Claim of a session with another's record", err, keyring.ErrSealed)

	other := newFixture(t, func(c *Config) { c.Keys, c.Store = ring(t, 'o'), f.cfg.Store })
	err = other.store.View(bg, store.Partition(good[:2]), func(txn store.Txn) error {
		_, err := other.session(txn, good)
		return err
	})
	wantErr(t, "a record under other keys", err, keyring.ErrSealed)
}

// TestTamperedIndex: the index is not sealed, because it says nothing. Pointed
// at another session, or at nonsense, it must not lead there.
func TestTamperedIndex(t *testing.T) {
	for _, change := range []func(Request) Request{
		func(r Request) Request { r.Address = "victim@example.com"; return r },
		func(r Request) Request { r.ClientSecret += "another"; return r },
		func(r Request) Request { r.Purpose = Password; return r },
		func(r Request) Request { r.Medium = MSISDN; return r },
	} {
		f := newFixture(t)
		// Both in one partition, or the entry would lead nowhere anyway.
		req := ask()
		for n := 0; sealed.PartitionOf(f.index(change(req))) != sealed.PartitionOf(f.index(req)); n++ {
			req.ClientSecret = fmt.Sprint(n)
		}
		victim := f.open(change(req))
		f.open(req)
		f.point(req, victim.SID)
		req.SendAttempt = 2
		if got := f.open(req); got.SID == victim.SID {
			t.Errorf("a swapped index led to the session of %+v", change(req))
		}
		f.point(req, "x")
		if _, err := f.Forget(bg, Email, "nobody@example.com"); err != nil {
			t.Errorf("Forget past a spoilt index: %v", err)
		}
	}
	f := newFixture(t)
	for _, nonsense := range []string{"", "x", "00", "zz", strings.Repeat("\xff", 32), strings.Repeat("0", 32), "00" + strings.Repeat("A", 22)} {
		f.open(ask())
		f.point(ask(), nonsense)
		if got := f.open(ask()); !f.Owns(got.SID) || !got.Sent {
			t.Errorf("index %q: %+v, want a new session", nonsense, got)
		}
	}
}

// point makes the index entry of a request lead to sid.
func (f *fixture) point(req Request, sid string) {
	f.Helper()
	index := f.index(req)
	err := f.cfg.Store.Update(bg, sealed.PartitionOf(index), func(txn store.Txn) error {
		return txn.Set(kindIndex.Key(index), []byte(sid), time.Time{})
	})
	if err != nil {
		f.Fatalf("point: %v", err)
	}
}

// TestUnknownRecordVersion: a record of a later version is an error, not a
// session that never was.
func TestUnknownRecordVersion(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	for name, plain := range map[string][]byte{"later version": {recordVersion + 1, 0xa0}, "empty": {}, "not CBOR": {recordVersion, 0xff}} {
		f.overwrite(sid, func([]byte) []byte { return f.keys.Seal(sessionKey(sid), plain) })
		_, err := f.Submit(bg, Submission{SID: sid, Token: "x"})
		wantErr(t, name, err, sealed.ErrForm)
	}
}

// TestInvalidTextSurvives: a form-encoded next_link or a header may hold bytes
// that are no UTF-8; a session that was answered 200 must be readable.
func TestInvalidTextSurvives(t *testing.T) {
	f := newFixture(t)
	req := ask(func(r *Request) { r.NextLink, r.Language = "https://app.example/\xff", "d\xe9" })
	sid := f.open(req).SID
	if got := f.confirm(sid, f.outbox.last(t).Token); got.NextLink != req.NextLink || got.Language != req.Language {
		t.Errorf("Submit = %+v", got)
	}
}
