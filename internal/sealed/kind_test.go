// SPDX-License-Identifier: Apache-2.0

package sealed_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

var errBroken = errors.New("broken")

func TestPartitions(t *testing.T) {
	seen := map[string]bool{}
	for n := range sealed.Partitions {
		p := sealed.PartitionName(n)
		got, ok := sealed.PartitionIn(string(p) + "rest")
		if !p.Valid() || got != p || !ok || seen[string(p)] {
			t.Errorf("partition %d is %q, read back as %q, %v", n, p, got, ok)
		}
		seen[string(p)] = true
	}
	if len(seen) != 64 || sealed.PartitionName(sealed.Partitions) != sealed.PartitionName(0) {
		t.Errorf("%d partitions, want 64", len(seen))
	}
	for _, id := range []string{"", "0", "40x", "ffx", "0Ax", "-1x", " 0x", "zz", "\x000"} {
		if p, ok := sealed.PartitionIn(id); ok {
			t.Errorf("PartitionIn(%q) = %q", id, p)
		}
	}
	used := map[string]int{}
	for n := range 64 * sealed.Partitions {
		used[string(sealed.PartitionOf(ring(1).HashText("test", string(rune('a'+n)))))]++
	}
	for p := range seen {
		if used[p] < 16 || used[p] > 192 {
			t.Errorf("partition %s got %d of %d names", p, used[p], 64*sealed.Partitions)
		}
	}
}

// TestPlacesStayWhatTheyAre: what is in a store today must be found there by the next version.
func TestPlacesStayWhatTheyAre(t *testing.T) {
	var got []store.Partition
	for _, name := range []string{"", "a", "b", "session"} {
		got = append(got, sealed.PartitionOf(name))
	}
	if want := "[05 2c 25 37]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

var never = sealed.Never("it is for a test")

// TestADeclarationLacksNothing, and nobody else has its entries.
func TestADeclarationLacksNothing(t *testing.T) {
	sealed.Alone(t)
	sealed.Declare("first", "f/", sealed.Sharded, sealed.Expires, sealed.Kept, never)
	for name, declare := range map[string]func(){
		"a name":                         func() { sealed.Declare("", "g/", sealed.Sharded, sealed.Expires, sealed.Kept, never) },
		"a prefix":                       func() { sealed.Declare("second", "", sealed.Sharded, sealed.Expires, sealed.Kept, never) },
		"a place":                        func() { sealed.Declare("second", "g/", sealed.Place{}, sealed.Expires, sealed.Kept, never) },
		"a rotation":                     func() { sealed.Declare("second", "g/", sealed.Sharded, sealed.Rotation{}, sealed.Kept, never) },
		"a restore":                      func() { sealed.Declare("second", "g/", sealed.Sharded, sealed.Expires, 0, never) },
		"a forget":                       func() { sealed.Declare("second", "g/", sealed.Sharded, sealed.Expires, sealed.Kept, sealed.Never("")) },
		"its own prefix, in all shards":  func() { sealed.Declare("second", "f/", sealed.Sharded, sealed.Expires, sealed.Kept, never) },
		"its own prefix, in the first":   func() { sealed.Declare("second", "f/", sealed.Together, sealed.Expires, sealed.Kept, never) },
		"its own prefix, in one of them": func() { sealed.Declare("second", "f/", sealed.In("07"), sealed.Expires, sealed.Kept, never) },
		"a prefix that begins another":   func() { sealed.Declare("second", "f", sealed.Sharded, sealed.Expires, sealed.Kept, never) },
		"a prefix that another begins":   func() { sealed.Declare("second", "f/g/", sealed.Sharded, sealed.Expires, sealed.Kept, never) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a kind without %s was declared", name)
				}
			}()
			declare()
		}()
	}
	sealed.Declare("elsewhere", "f/", sealed.In("own"), sealed.Left, sealed.Dropped, never)
	for at, want := range map[string][2]bool{
		"00 f/x": {true, false}, "3f f/x": {true, false}, "own f/x": {false, true}, "40 f/x": {}, "000 f/x": {}, "00 g/x": {}, "own g": {},
	} {
		var p store.Partition
		var key string
		if _, err := fmt.Sscan(at, &p, &key); err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{sealed.Awaited(p, key), sealed.DroppedAtRestore(p, key)}; got != want {
			t.Errorf("%s: awaited and dropped are %v, want %v", at, got, want)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a kind in all shards was declared beside one in one of them")
			}
		}()
		sealed.Declare("in one", "o/", sealed.In("07"), sealed.Expires, sealed.Kept, never)
		sealed.Declare("in all", "o/", sealed.Sharded, sealed.Expires, sealed.Kept, never)
	}()
	if n := len(sealed.Kinds()); n != 3 {
		t.Errorf("%d kinds are declared", n)
	}
}

func newMemory(t *testing.T, entries map[string]string) store.Store {
	t.Helper()
	s := storetest.NewMemory(nil)
	for at, value := range entries {
		var p store.Partition
		var key string
		if _, err := fmt.Sscan(at, &p, &key); err != nil {
			t.Fatal(err)
		}
		err := s.Update(t.Context(), p, func(txn store.Txn) error { return txn.Set(key, []byte(value), time.Time{}) })
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestFirstIsTheNewestName that there is something under.
func TestFirstIsTheNewestName(t *testing.T) {
	sealed.Alone(t)
	k, keys := sealed.Declare("first", "f/", sealed.Sharded, sealed.Expires, sealed.Kept, never), ring(2, 1)
	for _, tt := range []struct {
		there []string
		want  string
	}{{nil, ""}, {[]string{"old"}, "old"}, {[]string{"old", "new"}, "new"}, {[]string{"other"}, ""}} {
		err := newMemory(t, nil).Update(t.Context(), "00", func(txn store.Txn) error {
			for _, name := range tt.there {
				if err := k.Put(txn, keys, k.Key(name), record{Text: name}, time.Time{}); err != nil {
					return err
				}
			}
			var got record
			key, err := k.First(txn, keys, []string{"new", "old"}, &got)
			if tt.want == "" {
				if !errors.Is(err, store.ErrNotFound) || key != "" {
					t.Errorf("of %v: got %q, %v", tt.there, key, err)
				}
				return nil
			}
			if key != k.Key(tt.want) || got.Text != tt.want {
				t.Errorf("of %v: got %+v at %q", tt.there, got, key)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestEachEndsWhereItIsTold to, and passes over what is of other kinds.
func TestEachEndsWhereItIsTold(t *testing.T) {
	sealed.Alone(t)
	k := sealed.Declare("some", "s/", sealed.Sharded, sealed.Unsealed, sealed.Kept, never)
	s := newMemory(t, map[string]string{"00 s/1": "1", "00 s/2": "2", "00 t/3": "", "0a s/3": "3", "3f s/4": "4", "own s/5": ""})
	for most, want := range map[int]string{1: "[00 s/1]", 2: "[00 s/1 00 s/2]", 3: "[00 s/1 00 s/2 0a s/3]", 9: "[00 s/1 00 s/2 0a s/3 3f s/4]"} {
		var got []string
		err := k.Each(t.Context(), s, func(p store.Partition, key string, value []byte) (bool, error) {
			if got = append(got, string(p)+" "+key); key != "s/"+string(value) {
				t.Errorf("%s has %s", key, value)
			}
			return len(got) < most, nil
		})
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("got %v, %v, want %s", got, err, want)
		}
	}
	calls := 0
	err := k.Each(t.Context(), s, func(store.Partition, string, []byte) (bool, error) { calls++; return true, errBroken })
	if !errors.Is(err, errBroken) || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

// mover says that it has moved so many.
type mover struct {
	moved int
	err   error
}

func (m *mover) Reseal(context.Context) (int, error) { return m.moved, m.err }

type otherMover struct{ mover }

// TestResealHasAllMoved, and says what is not.
func TestResealHasAllMoved(t *testing.T) {
	sealed.Alone(t)
	sealed.Declare("lasting", "l/", sealed.Sharded, sealed.Moved[*mover](), sealed.Kept, never)
	sealed.Declare("short", "s/", sealed.Sharded, sealed.Expires, sealed.Kept, never)
	sealed.Declare("more", "m/", sealed.In("own"), sealed.Moved[*otherMover](), sealed.Kept, never)
	first, second := &mover{moved: 2}, &otherMover{mover{moved: 3}}
	if n, err := sealed.Reseal(t.Context(), second, first); n != 5 || err != nil {
		t.Errorf("got %d, %v, want all of both", n, err)
	}
	if n, err := sealed.Reseal(t.Context(), first); n != 2 || err == nil || err.Error() != "nobody seals more with the new key" {
		t.Errorf("got %d, %v, want to be told that nobody moves the other", n, err)
	}
	first.err = errBroken
	if n, err := sealed.Reseal(t.Context(), first, second); n != 2 || !errors.Is(err, errBroken) || err.Error() != "seal lasting with the new key: broken" {
		t.Errorf("got %d, %v", n, err)
	}
}

// TestSealedByCountsWhatIsWaitedFor, wherever it is.
func TestSealedByCountsWhatIsWaitedFor(t *testing.T) {
	sealed.Alone(t)
	sealed.Declare("some", "s/", sealed.Sharded, sealed.Expires, sealed.Kept, never)
	sealed.Declare("left", "w/", sealed.Sharded, sealed.Left, sealed.Kept, never)
	sealed.Declare("plain", "p/", sealed.Together, sealed.Unsealed, sealed.Kept, never)
	sealed.Declare("itself", "keys", sealed.In("own"), sealed.WithKeys, sealed.Kept, never)
	s := newMemory(t, map[string]string{
		"00 s/1": "a", "3f s/2": "ab", "3f s/3": "b", "00 s/4": "", "00 w/1": "a", "00 p/1": "a", "00 u/1": "a", "own keys": "b", "own s/1": "a",
	})
	if got, err := sealed.SealedBy(t.Context(), s); err != nil || !maps.Equal(got, map[byte]int{'a': 2, 'b': 2}) {
		t.Errorf("got %v, %v", got, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := sealed.SealedBy(t.Context(), s); got != nil || !errors.Is(err, store.ErrClosed) {
		t.Errorf("of a closed store: %v, %v", got, err)
	}
	if got := sealed.All(); len(got) != sealed.Partitions+1 || !slices.IsSorted(got) {
		t.Errorf("the partitions are %q", got)
	}
}
