// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// TestUpdateAsyncIsSeenAtOnce, by whatever comes after it, and kept by closing.
func TestUpdateAsyncIsSeenAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir})
	for i := range 50 {
		want := fmt.Sprint(i)
		if err := store.UpdateAsync(t.Context(), s, "p", func(tx store.Txn) error { return tx.Set("key", []byte(want), time.Time{}) }); err != nil {
			t.Fatal(err)
		}
		err := s.Update(t.Context(), "q", func(tx store.Txn) error { return tx.Set("other", []byte(want), time.Time{}) })
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		err = s.View(t.Context(), "p", func(tx store.Txn) (err error) {
			got, err = tx.Get("key")
			return err
		})
		if err != nil || string(got) != want {
			t.Fatalf("got %q (%v) after a later update, want %q", got, err, want)
		}
	}
	err := s.UpdateAsync(t.Context(), "p", func(tx store.Txn) error { return tx.Set("key", []byte("last"), time.Time{}) })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, Options{Dir: dir})
	err = again.View(t.Context(), "p", func(tx store.Txn) error {
		got, err := tx.Get("key")
		if string(got) != "last" {
			t.Errorf("got %q after closing, want it written", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestUpdateAsyncNeedsNobody: it is committed although nothing comes after it, not
// put off by more of its kind, and nothing is committed where there is nothing.
func TestUpdateAsyncNeedsNobody(t *testing.T) {
	s, _ := openStopped(t)
	synctest.Test(t, func(t *testing.T) {
		var q queue
		q.init(s.db)
		kicked := func() bool {
			synctest.Wait()
			select {
			case <-q.kick:
				return true
			default:
				return false
			}
		}
		time.Sleep(2 * asyncTime)
		if kicked() {
			t.Error("the committer is woken for nothing")
		}
		for range 2 {
			q.signalAsync()
			time.Sleep(asyncTime - 1)
			q.signalAsync()
			if kicked() {
				t.Error("the committer is woken too early")
			}
			time.Sleep(time.Nanosecond)
			if !kicked() {
				t.Error("the committer is not woken in time")
			}
		}
	})
}

// TestUpdateAsyncIsATransaction: concurrent ones see each other, an error writes
// nothing, and what Update refuses is refused.
func TestUpdateAsyncIsATransaction(t *testing.T) {
	s := openTest(t, Options{})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			err := s.UpdateAsync(context.Background(), "p", func(tx store.Txn) error {
				old, err := tx.Get("key")
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
				return tx.Set("key", append(old, 'x'), time.Time{})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	failed := errors.New("failed")
	err := s.UpdateAsync(t.Context(), "p", func(tx store.Txn) error { return errors.Join(tx.Delete("key"), failed) })
	if !errors.Is(err, failed) {
		t.Errorf("got %v, want the function's error", err)
	}
	err = s.Update(t.Context(), "p", func(tx store.Txn) error {
		got, err := tx.Get("key")
		if len(got) != 100 {
			t.Errorf("got %d bytes, want 100", len(got))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	nothing := func(store.Txn) error { return nil }
	if err := s.UpdateAsync(t.Context(), "not a partition", nothing); !errors.Is(err, store.ErrInvalidKey) {
		t.Errorf("got %v, want ErrInvalidKey", err)
	}
	if err := errors.Join(s.Close(), s.UpdateAsync(t.Context(), "p", nothing)); !errors.Is(err, store.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}
