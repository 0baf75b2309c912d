// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

func (s *site) adminURL() string { return fmt.Sprintf("http://127.0.0.1:%d", s.admin) }

// traces counts the entries in the files of the store, former versions of each
// too, which tell of an address to who has the keys.
func (s *site) traces(address string) (n int) {
	s.t.Helper()
	keys, err := keyring.Load(s.path("keys.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	db, err := badger.Open(badger.DefaultOptions(s.path("store")).WithLogger(nil))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			s.t.Error(err)
		}
	}()
	err = db.View(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.AllVersions = true
		it := txn.NewIterator(opts)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			raw, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			_, key, _ := strings.Cut(string(it.Item().Key()), "/")
			text := string(raw)
			if len(raw) > 5 { // behind the expiry
				if plain, err := keys.Open(key, raw[5:]); err == nil {
					text = string(plain)
				}
			}
			if strings.Contains(text, address) {
				n++
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// TestForgetErasesEverywhere goes the whole way with two addresses, forgets one,
// and reads the files of the store with the keys.
func TestForgetErasesEverywhere(t *testing.T) {
	w := newWhole(t, "off")
	const alice, bob = "alice@example.test", "bob@example.test"
	w.live("alice")
	kept := w.live("bob")
	before := w.loaded
	w.mustLoad(w.without())
	w.loaded = before
	of := map[string]int{alice: w.traces(alice), bob: w.traces(bob)}
	if of[alice] < 3 || of[bob] < 3 {
		t.Fatalf("got %v, want sessions and a suppression of each: the search finds nothing", of)
	}
	w.mustLoad(before)
	gone := w.forgets("Alice@EXAMPLE.test", "--medium", "email")
	if !gone.Compacted || gone.Erased["sessions"] != 3 || gone.Erased["session_index"] != 2 || gone.Erased["suppressions"] != 1 {
		t.Errorf("got %+v, want two sessions, that of a notice, and a suppression erased, from the files too", gone)
	}
	sum := 0
	for _, n := range gone.Erased {
		sum += n
	}
	if sum != gone.Entries || sum == 0 {
		t.Errorf("got %d entries, and %d when all kinds are added up", gone.Entries, sum)
	}
	if again := w.forgets(alice); again.Entries != 0 {
		t.Errorf("got %+v the second time, want nothing", again)
	}
	if got := w.ask("r0", "register", "pending-of-bob", bob); got != kept {
		t.Error("the session of somebody else is gone")
	}
	w.mustLoad(w.without())
	if n := w.traces(alice); n != 0 {
		t.Errorf("the files of the store have %d entries of a forgotten address", n)
	}
	if n := w.traces(bob); n < 3 {
		t.Errorf("the files of the store have %d entries of somebody else, want those of before", n)
	}
}

// TestForgetErasesNumbersToo: what was asked for under a former key, its limits, and
// that it is not to be sent to.
func TestForgetErasesNumbersToo(t *testing.T) {
	const options = "allow GB"
	s := newPhoneSite(t, options)
	const alice, bob = "447400123456", "447400123457"
	var kept string
	for _, number := range []string{alice, bob} {
		a, err := s.ask(t.Context(), "192.0.2.1", "secret", "+"+number, 1)
		if err != nil || a.Status != http.StatusOK {
			t.Fatalf("got %+v, %v", a, err)
		}
		kept, _ = a.JSON["sid"].(string)
		s.admins("POST", "suppressions/add", stack.Object{"medium": "msisdn", "address": "+" + number}, http.StatusOK)
		s.admins("POST", "keys/rotate", stack.Object{}, http.StatusOK)
	}
	configured := s.config(options)
	traces := func(number string) int {
		t.Helper()
		s.mustLoad(s.without())
		defer s.mustLoad(configured)
		return s.traces(number)
	}
	if of, kept := traces(alice), traces(bob); of < 2 || kept < 2 {
		t.Fatalf("got %d and %d traces, want sessions and a suppression of each: the search finds nothing", of, kept)
	}
	gone := s.forgets("+"+alice, "--medium", "msisdn")
	if !gone.Compacted || gone.Erased["sessions"] != 1 || gone.Erased["suppressions"] != 1 || gone.Erased["shield"] != 2 {
		t.Errorf("got %+v, want the session, the suppression, and what the number and the client have of the limits erased", gone)
	}
	if again := s.forgets("+"+alice, "--medium", "msisdn"); again.Entries != 0 {
		t.Errorf("got %+v the second time, want nothing", again)
	}
	if of, kept := traces(alice), traces(bob); of != 0 || kept < 2 {
		t.Errorf("the files of the store have %d entries of a forgotten number, and %d of another, want none and those of before", of, kept)
	}
	if a, err := s.ask(t.Context(), "192.0.2.1", "secret", "+"+bob, 1); err != nil || a.JSON["sid"] != kept {
		t.Errorf("got %+v, %v, want the session of somebody else, %q", a, err, kept)
	}
}

// TestForgetErasesNumbersWhereNoneAreVerified: what the limits of short messages know of
// a number outlives the sms block, and is erased all the same.
func TestForgetErasesNumbersWhereNoneAreVerified(t *testing.T) {
	s := newPhoneSite(t, "allow GB")
	const alice = "447400123456"
	for n, number := range []string{alice, "447400123457"} {
		if a, err := s.ask(t.Context(), "192.0.2.1", "secret", "+"+number, 1); err != nil || a.Status != http.StatusOK {
			t.Fatalf("request %d: got %+v, %v", n, a, err)
		}
	}
	s.mustLoad(s.simple())
	gone := s.forgets("+"+alice, "--medium", "msisdn")
	if gone.Erased["shield"] != 2 || gone.Erased["sessions"] != 1 {
		t.Errorf("got %+v, want what the number and the client have of the limits erased as well", gone)
	}
	if again := s.forgets("+"+alice, "--medium", "msisdn"); again.Entries != 0 {
		t.Errorf("got %+v the second time, want nothing", again)
	}
	if _, told := s.forgets("alice@example.test").Erased["shield"]; told {
		t.Error("of an email address, it is said what limits of numbers have of it")
	}
}

func TestForgetRefuses(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	for name, args := range map[string][]string{
		"no address":     nil,
		"no mailbox":     {"--address", "nobody"},
		"unknown medium": {"--address", "alice@example.test", "--medium", "pigeon"},
	} {
		text, err := offline("forget", append(args, "--admin", strings.TrimPrefix(s.adminURL(), "http://"))...)
		if err == nil || strings.Contains(text+err.Error(), "alice") {
			t.Errorf("%s: got %q, %v, want an error without the address", name, text, err)
		}
	}
	text, err := offline("forget", "--admin", strings.TrimPrefix(s.adminURL(), "http://"), "--address", "alice@example.test")
	if err != nil || !strings.HasPrefix(text, "0 entries") {
		t.Errorf("nobody's address: got %q, %v", text, err)
	}
}

// live makes what there can be of an address: a session that was used, one that
// waits, under another key, and a suppression.
func (w *whole) live(user string) (sid string) {
	w.t.Helper()
	address := user + "@example.test"
	body := w.confirmed(user, "secret-of-"+user)
	w.do("POST", "/_matrix/client/r0/account/password", "", body, http.StatusOK)
	if _, err := w.command("rotate-keys"); err != nil {
		w.t.Fatal(err)
	}
	sid = w.ask("r0", "register", "pending-of-"+user, address)
	if status, err := w.adminPost("suppressions/add", stack.Object{"medium": "email", "address": address}, nil); err != nil || status != http.StatusOK {
		w.t.Fatalf("got %d, %v", status, err)
	}
	return sid
}

func (s *site) forgets(address string, args ...string) admin.Forgotten {
	s.t.Helper()
	text, err := offline("forget", append(args, "--admin", strings.TrimPrefix(s.adminURL(), "http://"), "--address", address, "--json")...)
	var gone admin.Forgotten
	if jsonErr := json.Unmarshal([]byte(text), &gone); err != nil || jsonErr != nil {
		s.t.Fatalf("got %q, %v", text, err)
	}
	return gone
}
