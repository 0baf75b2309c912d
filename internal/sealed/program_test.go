// SPDX-License-Identifier: Apache-2.0

package sealed_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	// All who declare kinds.
	_ "github.com/caddy-threepid/caddy-threepid/internal/feedback"
	_ "github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	_ "github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	_ "github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	_ "github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestKindsOfTheProgram: what there can be in a store, and what is done with it. A kind
// that is new is added here, which is a good moment to read its line once more.
func TestKindsOfTheProgram(t *testing.T) {
	want := []string{
		"a/ aliases: sharded, awaited, dropped, searched",
		"a/ shield: in shield, awaited, kept, edited of msisdn",
		"b/ bindings: sharded, awaited and moved, kept, searched",
		"c/ cooldowns: together, unsealed, kept, forgotten by its name",
		"c/ shield: in shield, awaited, kept, never forgotten",
		"d/ deliveries: sharded, unsealed, dropped, searched",
		"e/ explanations: together, awaited, kept, forgotten by its name",
		"g/ held_requests: together, awaited, dropped, searched",
		"h/ homeserver_sessions: sharded, awaited, kept, searched",
		"i/ session_index: sharded, unsealed, dropped, searched",
		"k/ places: together, left, kept, forgotten by its name",
		"keys check record: in check, awaited, kept, never forgotten",
		"l/ limits: together, unsealed, kept, forgotten by its name",
		"m/ mailboxes: together, awaited, kept, forgotten by its name",
		"n/ shield: in shield, awaited, kept, forgotten by its name of msisdn",
		"n/ token_requests: sharded, awaited, dropped, searched",
		"o/ messages: sharded, awaited, dropped, searched",
		"p/ shield: in shield, awaited, kept, never forgotten",
		"q/ open_requests: together, awaited, dropped, forgotten by its name",
		"r/ replies: sharded, awaited, dropped, searched",
		"s/ sessions: sharded, awaited, dropped, searched",
		"t/ registrations: together, awaited, dropped, never forgotten",
		"w/ languages: sharded, left, kept, forgotten by its name",
		"w/ shield: in shield, awaited, kept, never forgotten",
		"x/ suppressions: sharded, awaited and moved, kept, forgotten by its name",
		"xg/ webhook_claims: sharded, unsealed, kept, never forgotten",
	}
	var got []string
	for _, k := range sealed.Kinds() {
		got = append(got, k.String())
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if all := sealed.All(); len(all) != sealed.Partitions+2 || !slices.Contains(all, "shield") || !slices.Contains(all, "check") {
		t.Errorf("the partitions are %q", all)
	}
}

// record has what records can have.
type record struct {
	Text  string    `cbor:"1,keyasint"`
	Count *int64    `cbor:"2,keyasint,omitempty"`
	At    time.Time `cbor:"3,keyasint"`
	List  [][]byte  `cbor:"4,keyasint,omitempty"`
}

// wider has a member more.
type wider struct {
	record
	More int `cbor:"5,keyasint"`
}

// ring has keys of these ids, the first in use.
func ring(ids ...byte) *keyring.Ring {
	keys := make([]keyring.Key, len(ids))
	for i, id := range ids {
		keys[i] = keyring.Key{ID: id, Secret: bytes.Repeat([]byte{id}, keyring.SecretSize)}
	}
	r, err := keyring.New(keys...)
	if err != nil {
		panic(err) // of constant keys
	}
	return r
}

// TestEveryKindIsSealed: what is put under a key is read there and with any key that has
// sealed it, and nothing else is, whatever the kind.
func TestEveryKindIsSealed(t *testing.T) {
	for _, k := range sealed.Kinds() {
		if !k.IsSealed() {
			continue
		}
		rapid.Check(t, func(t *rapid.T) {
			key, other := k.Key(rapid.String().Draw(t, "name")), k.Key(rapid.String().Draw(t, "other name"))
			want := record{Text: rapid.String().Draw(t, "text"), At: time.Unix(rapid.Int64Range(0, 1<<31).Draw(t, "at"), 0)}
			if rapid.Bool().Draw(t, "has a count") {
				want.Count = new(rapid.Int64().Draw(t, "count"))
			}
			var at storetest.Slot
			if err := k.Put(&at, ring(1), key, &want, time.Time{}); err != nil {
				t.Fatal(err)
			}
			for _, keys := range []*keyring.Ring{ring(1), ring(2, 1), ring(3, 2, 1)} {
				var got record
				if err := k.Open(keys, key, at.Value, &got); err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("%s: got %+v, %v, want %+v", k, got, err, want)
				}
			}
			flipped := bytes.Clone(at.Value)
			flipped[rapid.IntRange(0, len(flipped)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			plain, err := ring(1).Open(key, at.Value)
			if err != nil {
				t.Fatal(err)
			}
			seal := func(plain []byte) []byte { return ring(1).Seal(key, plain) }
			var more storetest.Slot
			if err := k.Put(&more, ring(1), key, wider{want, 1}, time.Time{}); err != nil {
				t.Fatal(err)
			}
			for what, tt := range map[string]struct {
				key   string
				value []byte
				want  error
			}{
				"a flipped bit":         {key, flipped, keyring.ErrSealed},
				"of a key that is gone": {key, ring(9).Seal(key, plain), keyring.ErrSealed},
				"empty":                 {key, nil, keyring.ErrSealed},
				"moved":                 {other + "x", at.Value, keyring.ErrSealed},
				"an unknown member":     {key, more.Value, sealed.ErrForm},
				"cut short":             {key, seal(plain[:len(plain)-1]), sealed.ErrForm},
				"something behind it":   {key, seal(append(bytes.Clone(plain), 0)), sealed.ErrForm},
				"a later version":       {key, seal(append([]byte{2}, plain[1:]...)), sealed.ErrForm},
				"no text":               {key, seal(nil), sealed.ErrForm},
				"a member twice":        {key, seal([]byte{1, 0xa2, 1, 0x61, 'a', 1, 0x61, 'b'}), sealed.ErrForm},
				"no length":             {key, seal([]byte{1, 0xbf, 0xff}), sealed.ErrForm},
			} {
				if what == "moved" && tt.key == key {
					continue
				}
				var got record
				err := k.Open(ring(1), tt.key, tt.value, &got)
				if !errors.Is(err, tt.want) {
					t.Fatalf("%s, %s: got %v, want %v", k, what, err, tt.want)
				}
				if want, _, _ := strings.Cut(k.Key(""), "/"); err.Error() != strings.Fields(err.Error())[0]+` record "`+want+`": `+tt.want.Error() {
					t.Fatalf("%s, %s: %v tells something of the record", k, what, err)
				}
			}
		})
	}
}

// TestEntriesAreWrittenAsTheirKind: sealed or not, and under its prefix.
func TestEntriesAreWrittenAsTheirKind(t *testing.T) {
	for _, k := range sealed.Kinds() {
		var at storetest.Slot
		put := k.Put(&at, ring(1), k.Key("name"), record{}, time.Time{})
		set := k.Set(&at, k.Key("name"), nil, time.Time{})
		if (put == nil) != k.IsSealed() || (set == nil) == k.IsSealed() {
			t.Errorf("%s: Put = %v, Set = %v", k, put, set)
		}
		put = k.Put(&at, ring(1), "other/name", record{}, time.Time{})
		if set = k.Set(&at, "other/name", nil, time.Time{}); !errors.Is(put, sealed.ErrKind) || !errors.Is(set, sealed.ErrKind) {
			t.Errorf("%s under another prefix: Put = %v, Set = %v", k, put, set)
		}
		if err := k.Put(&at, ring(1), k.Key("name"), make(chan int), time.Time{}); err == nil {
			t.Errorf("%s: what cannot be written was", k)
		}
	}
}
