// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// openStopped opens a store whose committer does not run until start is
// called, so that what is pending stays so.
func openStopped(t *testing.T) (s *Store, start func()) {
	t.Helper()
	s, err := open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	start = sync.OnceFunc(s.start)
	t.Cleanup(func() {
		start()
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s, start
}

// abandon runs an update whose context ends while fn runs, so that it leaves
// its writes pending and returns.
func abandon(t *testing.T, s *Store, p store.Partition, fn func(store.Txn) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := s.Update(ctx, p, func(tx store.Txn) error { cancel(); return fn(tx) })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Update() without a committer = %v, want %v", err, context.Canceled)
	}
}

func setKey(key, value string) func(store.Txn) error {
	return func(tx store.Txn) error { return tx.Set(key, []byte(value), time.Time{}) }
}

func TestPendingUpdatesCommitAsOne(t *testing.T) {
	s, start := openStopped(t)
	const updates = 100
	for i := range updates {
		abandon(t, s, store.Partition(fmt.Sprint(i)), func(tx store.Txn) error {
			if _, err := tx.Get("missing"); !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("get a missing key: %w", err)
			}
			return setKey("key", "value")(tx)
		})
	}
	before := s.db.MaxVersion()
	start()
	write(t, s, "last", "key", "value", time.Time{})
	if got := s.db.MaxVersion() - before; got < 1 || got > 2 {
		t.Errorf("%d updates took %d transactions, want at most 2", updates+1, got)
	}
	for i := range updates {
		if got, err := lookup(s, store.Partition(fmt.Sprint(i)), "key"); got != "value" || err != nil {
			t.Errorf("Get() in partition %d = %q, %v", i, got, err)
		}
	}
}

// What is pending is what the next update starts from, on every layer.
func TestUpdatesSeePendingWrites(t *testing.T) {
	s, start := openStopped(t)
	want := func(layer, wantValue string, wantErr error) {
		t.Helper()
		abandon(t, s, "p", func(tx store.Txn) error {
			if got, err := tx.Get("key"); string(got) != wantValue || !errors.Is(err, wantErr) {
				t.Errorf("%s: Get() = %q, %v, want %q, %v", layer, got, err, wantValue, wantErr)
			}
			return nil
		})
	}
	abandon(t, s, "p", setKey("key", "first"))
	want("gathering", "first", nil)
	b := s.queue.advance(nil)
	want("in flight", "first", nil)
	abandon(t, s, "p", func(tx store.Txn) error { return tx.Delete("key") })
	want("deleted above", "", store.ErrNotFound)
	if err := s.commit(b); err != nil {
		t.Fatal(err)
	}
	b = s.queue.advance(nil)
	want("deleted in flight", "", store.ErrNotFound)
	abandon(t, s, "p", setKey("key", "second"))
	want("set again", "second", nil)
	if got, err := lookup(s, "p", "key"); got != "first" || err != nil {
		t.Errorf("View saw %q, %v of what is pending, want %q, nil", got, err, "first")
	}
	if err := s.commit(b); err != nil {
		t.Fatal(err)
	}
	s.queue.advance(nil) // takes the third batch, which start does not know of
	if err := s.commit(s.queue.inflight); err != nil {
		t.Fatal(err)
	}
	s.queue.advance(nil)
	start()
	if got, err := lookup(s, "p", "key"); got != "second" || err != nil {
		t.Errorf("after all commits, Get() = %q, %v, want %q, nil", got, err, "second")
	}
}

// What was committed while the next batch gathered is in neither of the pending
// ones: it has to come from a snapshot that is newer.
func TestUpdatesSeeWhatWasJustCommitted(t *testing.T) {
	s, _ := openStopped(t)
	abandon(t, s, "p", setKey("key", "value"))
	s.queue.advance(nil)
	abandon(t, s, "p", setKey("other", "value"))
	for range 2 {
		if err := s.commit(s.queue.inflight); err != nil {
			t.Fatal(err)
		}
		s.queue.advance(nil)
		var got []byte
		_, _, err := s.run(t.Context(), func(tx *writeTxn) (err error) {
			tx.partition = "p"
			got, err = tx.Get("key")
			return err
		}, s.queue.signal)
		if string(got) != "value" || err != nil {
			t.Errorf("Get() = %q, %v, want %q, nil", got, err, "value")
		}
	}
}

// The answer "somebody did it already" must be as durable as that it was done.
func TestOutcomeWaitsForWhatItSaw(t *testing.T) {
	errTaken := errors.New("taken")
	for name, result := range map[string]error{"read-only": nil, "refused": errTaken} {
		t.Run(name, func(t *testing.T) {
			s, start := openStopped(t)
			look := func(tx store.Txn) error { return result }
			if err := s.Update(t.Context(), "p", look); !errors.Is(err, result) {
				t.Errorf("with nothing pending, Update() = %v, want %v", err, result)
			}
			abandon(t, s, "p", setKey("key", "value"))
			abandon(t, s, "p", look)
			s.queue.advance(nil)
			abandon(t, s, "p", look)
			if err := s.commit(s.queue.inflight); err != nil {
				t.Fatal(err)
			}
			s.queue.advance(nil)
			start()
			if err := s.Update(t.Context(), "p", look); !errors.Is(err, result) {
				t.Errorf("after the commit, Update() = %v, want %v", err, result)
			}
		})
	}
}

// An update that read what then fails to be written must fail too.
func TestFailedCommitFailsWhatFollowed(t *testing.T) {
	s, start := openStopped(t)
	abandon(t, s, "p", setKey("first", "value"))
	first := s.queue.advance(nil)
	abandon(t, s, "p", setKey("second", "value"))
	second := s.queue.gather

	failure := errors.New("disk on fire")
	if next := s.queue.advance(failure); next != nil {
		t.Error("advance went on with a batch after a failure")
	}
	for name, b := range map[string]*batch{"failed": first, "following": second} {
		select {
		case <-b.done:
			if !errors.Is(b.err, failure) {
				t.Errorf("%s batch ended with %v, want %v", name, b.err, failure)
			}
		default:
			t.Errorf("%s batch did not end", name)
		}
	}
	start()
	write(t, s, "p", "third", "value", time.Time{})
	for _, key := range []string{"first", "second"} {
		if got, err := lookup(s, "p", key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get(%q) = %q, %v, want %v", key, got, err, store.ErrNotFound)
		}
	}
}

func TestPanicIsTheCallers(t *testing.T) {
	s := openTest(t, Options{})
	type custom struct{ n int }
	func() {
		defer func() {
			if got, want := recover(), (custom{7}); got != want {
				t.Errorf("recovered %v, want %v", got, want)
			}
		}()
		_ = s.Update(t.Context(), "p", func(store.Txn) error { panic(custom{7}) })
	}()

	var wg sync.WaitGroup
	wg.Go(func() { // what t.Fatal does
		_ = s.Update(t.Context(), "p", func(store.Txn) error { runtime.Goexit(); return nil })
	})
	wg.Wait()
	wantIdle(t, s)
	write(t, s, "p", "key", "value", time.Time{})
	wantIdle(t, s)
}

// wantIdle wants no snapshot to be open when nothing is pending.
func wantIdle(t *testing.T, s *Store) {
	t.Helper()
	if err := s.queue.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.queue.release()
	if s.queue.base != nil {
		t.Error("a snapshot is open although nothing is pending")
	}
}

func TestWaitBehindAnotherUpdateEndsWithContext(t *testing.T) {
	s := openTest(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(t.Context(), "p", func(store.Txn) error {
		done := make(chan error)
		go func() { done <- s.Update(ctx, "q", setKey("key", "value")) }()
		cancel()
		return <-done
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Update() behind another = %v, want %v", err, context.Canceled)
	}
}

// Close commits what abandoned updates have left.
func TestCloseCommitsWhatIsPending(t *testing.T) {
	s, start := openStopped(t)
	abandon(t, s, "p", setKey("key", "value"))
	start()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, Options{Dir: s.opts.Dir})
	if got, err := lookup(again, "p", "key"); got != "value" || err != nil {
		t.Errorf("Get() = %q, %v, want %q, nil", got, err, "value")
	}
}

func TestErrorsDoNotNameKeys(t *testing.T) {
	s := openTest(t, Options{})
	const secret = "secret-key"
	err := s.Update(t.Context(), "p", func(tx store.Txn) error {
		_, err := tx.Get(secret)
		return errors.Join(err, tx.Set(secret, make([]byte, store.MaxValueSize+1), time.Time{}),
			tx.Set(strings.Repeat(secret, 100), nil, time.Time{}))
	})
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("Update() = %v, want errors without the key", err)
	}
}
