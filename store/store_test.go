// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/store"
)

func TestPartitionValid(t *testing.T) {
	tests := []struct {
		name string
		p    store.Partition
		want bool
	}{
		{"one character", "a", true},
		{"every class", "azAZ09_-", true},
		{"32 characters", store.Partition(strings.Repeat("x", 32)), true},
		{"empty", "", false},
		{"33 characters", store.Partition(strings.Repeat("x", 33)), false},
		{"slash, the separator of the Badger layout", "a/b", false},
		{"brace, the hash tag of Redis", "{a}", false},
		{"colon", "a:b", false},
		{"space", "a b", false},
		{"dot", "a.b", false},
		{"NUL", "a\x00", false},
		{"newline", "a\n", false},
		{"letter outside ASCII", "é", false},
		{"invalid UTF-8", "\xff", false},
		{"just below 0", "/", false},
		{"just above 9", ":", false},
		{"just below A", "@", false},
		{"just above Z", "[", false},
		{"just below a", "`", false},
		{"just above z", "{", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.p.Valid(); got != tt.want {
				t.Errorf("Partition(%q).Valid() = %v, want %v", tt.p, got, tt.want)
			}
		})
	}
}

func TestPartitionValidAgreesWithGrammar(t *testing.T) {
	const grammar = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 0, 40),
			rapid.SliceOfN(rapid.SampledFrom([]byte(grammar)), 0, 40),
		).Draw(t, "partition"))
		want := len(s) >= 1 && len(s) <= 32 && strings.Trim(s, grammar) == ""
		if got := store.Partition(s).Valid(); got != want {
			t.Fatalf("Partition(%q).Valid() = %v, want %v", s, got, want)
		}
	})
}

func TestCheckKey(t *testing.T) {
	tests := []struct {
		name string
		p    store.Partition
		key  string
		want error
	}{
		{"ordinary", "p", "session", nil},
		{"longest", "p", strings.Repeat("k", store.MaxKeySize), nil},
		{"any bytes", "p", "\x00/\xff", nil},
		{"empty key", "p", "", store.ErrInvalidKey},
		{"key too long", "p", strings.Repeat("k", store.MaxKeySize+1), store.ErrInvalidKey},
		{"empty partition", "", "session", store.ErrInvalidKey},
		{"bad partition", "p/q", "session", store.ErrInvalidKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := store.CheckKey(tt.p, tt.key); !errors.Is(got, tt.want) {
				t.Errorf("CheckKey(%q, %d bytes) = %v, want %v", tt.p, len(tt.key), got, tt.want)
			}
		})
	}
}
