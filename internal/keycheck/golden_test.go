// SPDX-License-Identifier: Apache-2.0

package keycheck_test

import (
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// What the check record is written as, and what it was sealed as once.
const (
	goldenPlain  = "\x01" + `{"begun":"2026-05-01T12:00:00Z","keys":[{"id":2,"sum":"fnDoBKSAJ6HodvLVLJTUYQ"},{"id":1,"sum":"0rlz785BKitKvWWwRjNMgQ"}],"saved":"2026-05-01T12:00:00Z"}`
	goldenSealed = "02212fc97f6de894441e53233d8f265aff92c7f022f0d35c78018d629fc4a35030276e657a60025252c5137b33f251c2290f28417a3b4bb12ec0af943b2a21289845a948c2e55038430f48c12b45b60221770191b58289afb8777f9fb2fbf7c851a86f88f170483dae62220dccb7b65547e97c17301fc8065ec3de47efabe9d2af9a667fdc6e40e7b4c5f7845fc241a73710560d644117c6dc283d1e0f127dedb6ba12538228818f1341f5a9ef30f1fc2d6a47915078"
)

// TestTheRecordStaysAsItIs: it is read as it was written, and is written as it was.
func TestTheRecordStaysAsItIs(t *testing.T) {
	keys, s := ring(t, key(2, 2), key(1, 1)), storetest.NewMemory(nil)
	if _, err := keycheck.Claim(t.Context(), s, keys, now); err != nil {
		t.Fatal(err)
	}
	if lacks, err := keycheck.Save(t.Context(), s, keys, keys.Marks(), now); err != nil || lacks != nil {
		t.Fatal(lacks, err)
	}
	var sealed []byte
	err := s.View(t.Context(), "check", func(txn store.Txn) (err error) {
		sealed, err = txn.Get("keys")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := keys.Open("keys", sealed); err != nil || string(plain) != goldenPlain {
		t.Errorf("it is written as %q, %v, want %q", plain, err, goldenPlain)
	}
	want, err := keycheck.Read(t.Context(), s, keys)
	if err != nil {
		t.Fatal(err)
	}
	if sealed, err = hex.DecodeString(goldenSealed); err != nil {
		t.Fatal(err)
	}
	put(t, s, "check", "keys", sealed)
	if got, err := keycheck.Read(t.Context(), s, keys); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it is read as %+v, %v, want %+v", got, err, want)
	}
}
