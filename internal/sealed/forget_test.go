// SPDX-License-Identifier: Apache-2.0

package sealed_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

var errNobody = errors.New("this is nobody")

// group is a record that tells of several.
type group struct {
	Members []string `cbor:"1,keyasint"`
	Until   int64    `cbor:"2,keyasint"`
}

// kindsToForget declares a kind of each sort.
func kindsToForget(t *testing.T) (groups, people *sealed.Kind) {
	t.Helper()
	sealed.Alone(t)
	people = sealed.Declare("people", "p/", sealed.Sharded, sealed.Expires, sealed.Kept, sealed.Read(func(q *sealed.Query, r *record) bool {
		mine := q.Is(threepid.ThreePID{Medium: threepid.Email, Address: r.Text})
		if mine {
			q.Follow("friend")
		}
		return mine
	}))
	sealed.Declare("friends", "f/", sealed.Sharded, sealed.Unsealed, sealed.Kept, sealed.Seen(func(q *sealed.Query, e sealed.Entry) bool {
		return q.Follows(string(e.Value)) && e.Key == "f/"+e.Name && e.Kind.Key(e.Name) == e.Key && e.Partition != ""
	}))
	sealed.Declare("places", "l/", sealed.Together, sealed.Unsealed, sealed.Kept, sealed.Named(func(q *sealed.Query) ([]string, error) {
		if q.Address == "nobody" {
			return nil, errNobody
		}
		return q.Keys.HashTexts("place", q.Address), nil
	}))
	sealed.Declare("homes", "h/", sealed.Sharded, sealed.Unsealed, sealed.Kept, sealed.Named(func(q *sealed.Query) ([]string, error) {
		return q.Keys.HashTexts("home", q.Address), nil
	}))
	groups = sealed.Declare("groups", "g/", sealed.In("own"), sealed.Expires, sealed.Kept, sealed.Edited(func(q *sealed.Query, g *group) (time.Time, bool) {
		before := len(g.Members)
		g.Members = slices.DeleteFunc(g.Members, func(m string) bool { return m == q.Address })
		return time.Unix(g.Until, 0), len(g.Members) < before
	}).Of("email"))
	sealed.Declare("sums", "s/", sealed.In("own"), sealed.Unsealed, sealed.Kept, never)
	return groups, people
}

// all is what is in a store, values too.
func all(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, p := range sealed.All() {
		err := s.Scan(t.Context(), p, "", func(key string, value []byte) (bool, error) {
			got[string(p)+" "+key] = string(value)
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// lives puts everything there can be of somebody into a store.
func lives(t *testing.T, s store.Store, keys *keyring.Ring, name string, groups, people *sealed.Kind, others ...string) {
	t.Helper()
	put := func(p store.Partition, fn func(store.Txn) error) {
		t.Helper()
		if err := s.Update(t.Context(), p, fn); err != nil {
			t.Fatal(err)
		}
	}
	put("05", func(txn store.Txn) error {
		return errors.Join(
			people.Put(txn, keys, people.Key(name), record{Text: name}, time.Time{}),
			txn.Set("f/of-"+name, []byte("friend"), time.Time{}),
		)
	})
	put("06", func(txn store.Txn) error { return txn.Set("f/elsewhere-of-"+name, []byte("friend"), time.Time{}) })
	put("00", func(txn store.Txn) error { return txn.Set("l/"+keys.HashText("place", name), nil, time.Time{}) })
	home := keys.HashText("home", name)
	put(sealed.PartitionOf(home), func(txn store.Txn) error { return txn.Set("h/"+home, nil, time.Time{}) })
	put("own", func(txn store.Txn) error {
		until := time.Now().Add(time.Hour)
		return errors.Join(
			groups.Put(txn, keys, groups.Key("of-"+name), group{append([]string{name}, others...), until.Unix()}, until),
			txn.Set("s/"+name, nil, time.Time{}),
		)
	})
}

// TestEraseFindsEachSort: by a look, by what leads there, by its names under every key;
// and takes somebody out of what tells of others as well.
func TestEraseFindsEachSort(t *testing.T) {
	groups, people := kindsToForget(t)
	s, keys := storetest.NewMemory(nil), ring(2, 1)
	lives(t, s, ring(1), "alice", groups, people, "bob")
	before := all(t, s)
	gone, err := sealed.Erase(t.Context(), s, keys, threepid.ThreePID{Medium: "msisdn", Address: "alice"})
	if want := (sealed.Forgotten{"people": 0, "friends": 0, "places": 1, "homes": 1}); err != nil || !maps.Equal(gone, want) {
		t.Errorf("of a number: %v, %v, want %v, and nothing said of groups", gone, err, want)
	}
	lives(t, s, ring(1), "alice", groups, people, "bob")
	gone, err = sealed.Erase(t.Context(), s, keys, threepid.ThreePID{Medium: "email", Address: "alice"})
	if want := (sealed.Forgotten{"people": 1, "friends": 1, "places": 1, "homes": 1, "groups": 1}); err != nil || !maps.Equal(gone, want) || gone.Total() != 5 {
		t.Errorf("got %v, %v, want %v", gone, err, want)
	}
	left := slices.Sorted(maps.Keys(all(t, s)))
	if want := "[06 f/elsewhere-of-alice own g/of-alice own s/alice]"; fmt.Sprint(left) != want || len(before) != 7 {
		t.Errorf("of %d entries %v are left, want %s", len(before), left, want)
	}
	var g group
	err = s.View(t.Context(), "own", func(txn store.Txn) error { return groups.Get(txn, keys, groups.Key("of-alice"), &g) })
	if err != nil || fmt.Sprint(g.Members) != "[bob]" {
		t.Errorf("of the group is left %+v, %v", g, err)
	}
	if gone, err = sealed.Erase(t.Context(), s, keys, threepid.ThreePID{Medium: "email", Address: "alice"}); err != nil || gone.Total() != 0 {
		t.Errorf("got %v, %v the second time", gone, err)
	}
	if gone, err = sealed.Erase(t.Context(), s, keys, threepid.ThreePID{Medium: "email", Address: "nobody"}); !errors.Is(err, errNobody) || gone.Total() != 0 {
		t.Errorf("got %v, %v", gone, err)
	}
}

// TestEraseInPieces: more entries than one transaction takes, and each record that is
// edited in one of its own.
func TestEraseInPieces(t *testing.T) {
	groups, people := kindsToForget(t)
	s, keys := storetest.NewMemory(nil), ring(1)
	const many = 2*sealed.EraseAtOnce + 1
	err := s.Update(t.Context(), "00", func(txn store.Txn) error {
		for i := range many {
			if err := people.Put(txn, keys, people.Key(fmt.Sprint(i)), record{Text: "alice"}, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range 3 {
		err = errors.Join(err, s.Update(t.Context(), "own", func(txn store.Txn) error {
			return groups.Put(txn, keys, groups.Key(fmt.Sprint(i)), group{[]string{"alice"}, time.Now().Add(time.Hour).Unix()}, time.Time{})
		}))
	}
	if err != nil {
		t.Fatal(err)
	}
	counting := &counter{Store: s}
	gone, err := sealed.Erase(t.Context(), counting, keys, threepid.ThreePID{Medium: "email", Address: "alice"})
	if err != nil || gone["people"] != many || gone["groups"] != 3 || gone.Total() != many+3 || len(all(t, s)) != 3 {
		t.Errorf("got %v, %v, and %d left", gone, err, len(all(t, s)))
	}
	if want := 3 + 3 + 2; counting.updates != want { // pieces, groups, and the names in two partitions
		t.Errorf("there were %d transactions, want %d", counting.updates, want)
	}
}

// meanwhile lets something happen before each transaction that writes.
type meanwhile struct {
	store.Store
	do func()
}

func (m *meanwhile) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	m.do()
	return m.Store.Update(ctx, p, fn)
}

// TestEraseCountsWhatItHasDone: who is taken out of a record by somebody else, between the
// look and the deed, was not by us; nor is a record that is gone brought back.
func TestEraseCountsWhatItHasDone(t *testing.T) {
	for name, do := range map[string]func(store.Txn, *sealed.Kind, *keyring.Ring) error{
		"edited": func(txn store.Txn, groups *sealed.Kind, keys *keyring.Ring) error {
			return groups.Put(txn, keys, groups.Key("one"), group{Members: []string{"bob"}}, time.Time{})
		},
		"deleted": func(txn store.Txn, groups *sealed.Kind, _ *keyring.Ring) error { return txn.Delete(groups.Key("one")) },
	} {
		groups, _ := kindsToForget(t)
		s, keys := storetest.NewMemory(nil), ring(1)
		change := func(fn func(store.Txn) error) {
			if err := s.Update(t.Context(), "own", fn); err != nil {
				t.Fatal(err)
			}
		}
		change(func(txn store.Txn) error {
			return groups.Put(txn, keys, groups.Key("one"), group{Members: []string{"alice", "bob"}}, time.Time{})
		})
		after := map[string]string{}
		gone, err := sealed.Erase(t.Context(), &meanwhile{s, func() {
			change(func(txn store.Txn) error { return do(txn, groups, keys) })
			after = all(t, s)
		}}, keys, threepid.ThreePID{Medium: "email", Address: "alice"})
		if err != nil || gone.Total() != 0 || !maps.Equal(all(t, s), after) {
			t.Errorf("%s: got %v, %v, and %v, want nothing done after that", name, gone, err, all(t, s))
		}
	}
}

// counter counts transactions that write.
type counter struct {
	store.Store
	updates int
}

func (c *counter) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	c.updates++
	return c.Store.Update(ctx, p, fn)
}

// TestEraseFailsOnceAtEachOperation: who asked is told, and what was not done is done
// when it is asked for again.
func TestEraseFailsOnceAtEachOperation(t *testing.T) {
	for at := 1; ; at++ {
		groups, people := kindsToForget(t)
		disk, keys := &storetest.Breaking{Store: storetest.NewMemory(nil), Err: errBroken}, ring(1)
		lives(t, disk.Store, keys, "alice", groups, people)
		disk.Arm(at)
		gone, err := sealed.Erase(t.Context(), disk, keys, threepid.ThreePID{Medium: "email", Address: "alice"})
		broke := disk.Broke()
		if broke == "" {
			if at < 20 || gone.Total() != 5 || err != nil {
				t.Errorf("got %v, %v after %d operations", gone, err, at)
			}
			return
		}
		if !errors.Is(err, errBroken) || strings.Contains(err.Error(), "alice") {
			t.Errorf("%s: got %v", broke, err)
		}
		again, err := sealed.Erase(t.Context(), disk, keys, threepid.ThreePID{Medium: "email", Address: "alice"})
		unknown := strings.HasPrefix(broke, storetest.Committed) // how many that were
		if sum := gone.Total() + again.Total(); err != nil || sum > 5 || sum < 5 && !unknown || len(all(t, disk.Store)) != 3 {
			t.Errorf("%s: got %v and %v, %v, with %v left", broke, gone, again, err, all(t, disk.Store))
		}
	}
}
