// SPDX-License-Identifier: Apache-2.0

package keycheck_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// now is the time of all tests.
var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// key makes the same key of the same number.
func key(id, secret byte) keyring.Key {
	return keyring.Key{ID: id, Secret: slices.Repeat([]byte{secret}, keyring.SecretSize)}
}

func ring(t testing.TB, keys ...keyring.Key) *keyring.Ring {
	t.Helper()
	r, err := keyring.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// layout is one partition in which what begins with "s/" is sealed.
var layout = keycheck.Layout{
	Partitions: []store.Partition{"00", "01"},
	Sealed:     func(_ store.Partition, key string) bool { return strings.HasPrefix(key, "s/") },
}

func put(t testing.TB, s store.Store, p store.Partition, key string, value []byte) {
	t.Helper()
	err := s.Update(context.Background(), p, func(txn store.Txn) error { return txn.Set(key, value, time.Time{}) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestInspect(t *testing.T) {
	one, two := key(1, 1), key(2, 2)
	claimed := func(keys ...keyring.Key) func(*testing.T, store.Store) {
		return func(t *testing.T, s store.Store) {
			if _, err := keycheck.Claim(t.Context(), s, ring(t, keys...), now); err != nil {
				t.Fatal(err)
			}
		}
	}
	sealed := func(name string, by keyring.Key) func(*testing.T, store.Store) {
		return func(t *testing.T, s store.Store) { put(t, s, "01", name, ring(t, by).Seal(name, []byte("x"))) }
	}
	tests := []struct {
		name   string
		fill   []func(*testing.T, store.Store)
		keys   []keyring.Key
		want   keycheck.Contents
		closed int
	}{
		{"nothing", nil, []keyring.Key{one}, keycheck.Empty, 0},
		{"nothing, no keys", nil, nil, keycheck.Empty, 0},
		{"anything, no keys", []func(*testing.T, store.Store){sealed("s/a", one)}, nil, keycheck.Unseen, 0},
		{"a check record, no keys", []func(*testing.T, store.Store){claimed(one)}, nil, keycheck.Unseen, 0},
		{"ours", []func(*testing.T, store.Store){claimed(one)}, []keyring.Key{one}, keycheck.Ours, 0},
		{"of a former key of ours", []func(*testing.T, store.Store){claimed(one)}, []keyring.Key{two, one}, keycheck.Ours, 0},
		{"of a later key", []func(*testing.T, store.Store){claimed(one), claimed(two, one)}, []keyring.Key{one}, keycheck.Foreign, 0},
		{"of a key with our number", []func(*testing.T, store.Store){claimed(key(1, 9))}, []keyring.Key{one}, keycheck.Foreign, 0},
		{"somebody else's with data of ours", []func(*testing.T, store.Store){sealed("s/a", one), claimed(two)}, []keyring.Key{one}, keycheck.Foreign, 0},
		{"a record of ours", []func(*testing.T, store.Store){sealed("s/a", one)}, []keyring.Key{one}, keycheck.Readable, 0},
		{"records of several", []func(*testing.T, store.Store){sealed("s/a", two), sealed("s/b", one), sealed("s/c", two)}, []keyring.Key{one}, keycheck.Readable, 2},
		{"a record of another", []func(*testing.T, store.Store){sealed("s/a", two)}, []keyring.Key{one}, keycheck.Unreadable, 1},
		{"a record that was moved", []func(*testing.T, store.Store){func(t *testing.T, s store.Store) {
			put(t, s, "00", "s/b", ring(t, one).Seal("s/a", []byte("x")))
		}}, []keyring.Key{one}, keycheck.Unreadable, 1},
		{"nothing sealed", []func(*testing.T, store.Store){sealed("l/a", one)}, []keyring.Key{one}, keycheck.Unsealed, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := storetest.NewMemory(nil)
			for _, fill := range tt.fill {
				fill(t, s)
			}
			var keys *keyring.Ring
			if tt.keys != nil {
				keys = ring(t, tt.keys...)
			}
			got, err := keycheck.Inspect(t.Context(), s, keys, layout)
			if err != nil || got.Contents != tt.want || got.Closed != tt.closed {
				t.Errorf("Inspect() = %+v, %v, want %v, %d closed", got, err, tt.want, tt.closed)
			}
		})
	}
}

// TestInspectTellsAFailureFromEmptiness: a store that does not answer is not one
// for which a key file may be made.
func TestInspectTellsAFailureFromEmptiness(t *testing.T) {
	s := storetest.NewMemory(nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, keys := range []*keyring.Ring{nil, ring(t, key(1, 1))} {
		if got, err := keycheck.Inspect(t.Context(), s, keys, layout); !errors.Is(err, store.ErrClosed) || got.Contents == keycheck.Empty {
			t.Errorf("Inspect() = %v, %v, want %v", got, err, store.ErrClosed)
		}
	}
}

// TestClaimFollowsRotations: the record is sealed with the key in use, knows when
// the store began, and which keys were taken away.
func TestClaimFollowsRotations(t *testing.T) {
	s := storetest.NewMemory(nil)
	one, two, three := key(1, 1), key(2, 2), key(3, 3)
	steps := []struct {
		keys  []keyring.Key
		lacks []int
		by    byte
	}{
		{[]keyring.Key{one}, nil, 1},
		{[]keyring.Key{one}, nil, 1},
		{[]keyring.Key{two, one}, nil, 2},
		{[]keyring.Key{three, two, one}, nil, 3},
		{[]keyring.Key{three, one}, []int{2}, 3},
		{[]keyring.Key{three}, []int{1}, 3},
	}
	for i, step := range steps {
		keys := ring(t, step.keys...)
		before, err := keycheck.Claim(t.Context(), s, keys, now.Add(time.Duration(i)*time.Hour))
		if err != nil || !before.Begun.Equal(now) || !slices.Equal(before.Lacks(keys), step.lacks) {
			t.Errorf("%d: Claim() = %+v, %v, lacks %v, want %v and the first time", i, before, err, before.Lacks(keys), step.lacks)
		}
		after, err := keycheck.Read(t.Context(), s, keys)
		if err != nil || !slices.Equal(after.Keys, keys.Marks()) {
			t.Errorf("%d: Read() = %+v, %v", i, after, err)
		}
		if by, err := sealed.SealedBy(t.Context(), s); err != nil || len(by) != 1 || by[step.by] != 1 {
			t.Errorf("%d: sealed by %v, %v, want %d", i, by, err, step.by)
		}
	}
	for _, other := range []*keyring.Ring{ring(t, one), ring(t, two, one), ring(t, key(3, 9))} {
		if _, err := keycheck.Claim(t.Context(), s, other, now); !errors.Is(err, keycheck.ErrOther) {
			t.Errorf("Claim() = %v, want %v", err, keycheck.ErrOther)
		}
	}
	if _, err := keycheck.Read(t.Context(), s, ring(t, three)); err != nil {
		t.Errorf("after the refusals: %v", err)
	}
}

// TestClaimWritesOnlyWhatIsNew: every reload claims.
func TestClaimWritesOnlyWhatIsNew(t *testing.T) {
	s := storetest.NewMemory(nil)
	keys := ring(t, key(1, 1))
	value := func() (v string) {
		must(t, s.View(t.Context(), keycheck.Partition, func(txn store.Txn) error {
			raw, err := txn.Get("keys")
			v = string(raw)
			return err
		}))
		return v
	}
	claim := func() {
		_, err := keycheck.Claim(t.Context(), s, keys, now)
		must(t, err)
	}
	claim()
	first := value()
	claim()
	if value() != first {
		t.Error("the record was written again, and nothing was new")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOneOfTwoNodesClaims: two nodes with keys of their own begin with one store.
func TestOneOfTwoNodesClaims(t *testing.T) {
	s := storetest.NewMemory(nil)
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Go(func() { _, errs[i] = keycheck.Claim(t.Context(), s, ring(t, key(1, byte(i+1))), now) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, keycheck.ErrOther) {
			t.Errorf("got %v, want %v", err, keycheck.ErrOther)
		}
	}
	if won != 1 {
		t.Errorf("%d nodes have the store, want 1", won)
	}
}

// TestSave: a copy counts if it has every key, until there is a new one.
func TestSave(t *testing.T) {
	s := storetest.NewMemory(nil)
	one, two := key(1, 1), key(2, 2)
	keys := ring(t, two, one)
	saved := func(r *keyring.Ring) time.Time {
		record, err := keycheck.Read(t.Context(), s, r)
		must(t, err)
		return record.Saved
	}
	_, err := keycheck.Claim(t.Context(), s, keys, now)
	must(t, err)
	for _, test := range []struct {
		copied []keyring.Mark
		lacks  []int
	}{
		{nil, []int{2, 1}}, {ring(t, one).Marks(), []int{2}}, {ring(t, two, key(1, 9)).Marks(), []int{1}}, {ring(t, key(3, 3), two, one).Marks(), nil},
	} {
		lacks, err := keycheck.Save(t.Context(), s, keys, test.copied, now)
		if err != nil || !slices.Equal(lacks, test.lacks) || saved(keys).IsZero() != (lacks != nil) {
			t.Errorf("Save(%v) = %v, %v, saved at %v, want to lack %v", test.copied, lacks, err, saved(keys), test.lacks)
		}
	}
	fewer := ring(t, two)
	_, err = keycheck.Claim(t.Context(), s, fewer, now)
	must(t, err)
	if saved(fewer).IsZero() {
		t.Error("a copy does not count any more, although it has all keys")
	}
	more := ring(t, key(3, 3), two)
	_, err = keycheck.Claim(t.Context(), s, more, now)
	must(t, err)
	if !saved(more).IsZero() {
		t.Error("a copy of before the rotation counts")
	}
}

// TestRecordsOfLaterVersions are refused, and not taken for a stranger's.
func TestRecordsOfLaterVersions(t *testing.T) {
	s := storetest.NewMemory(nil)
	keys := ring(t, key(1, 1))
	put(t, s, keycheck.Partition, "keys", keys.Seal("keys", []byte{2, '{', '}'}))
	if _, err := keycheck.Claim(t.Context(), s, keys, now); err == nil || errors.Is(err, keycheck.ErrOther) {
		t.Errorf("Claim() = %v, want the form to be unknown", err)
	}
	if found, err := keycheck.Inspect(t.Context(), s, keys, layout); err == nil {
		t.Errorf("Inspect() = %v, want an error", found)
	}
}
