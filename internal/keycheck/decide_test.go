// SPDX-License-Identifier: Apache-2.0

package keycheck_test

import (
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
)

// TestDecide is the whole rule.
func TestDecide(t *testing.T) {
	tests := []struct {
		keyFile  bool
		contents keycheck.Contents
		want     keycheck.Verdict
		refused  bool
	}{
		{false, keycheck.Empty, keycheck.Create, false},
		{false, keycheck.Ours, keycheck.RefuseMissing, true},
		{false, keycheck.Foreign, keycheck.RefuseMissing, true},
		{false, keycheck.Readable, keycheck.RefuseMissing, true},
		{false, keycheck.Unreadable, keycheck.RefuseMissing, true},
		{false, keycheck.Unsealed, keycheck.RefuseMissing, true},
		{false, keycheck.Unseen, keycheck.RefuseMissing, true},
		{true, keycheck.Empty, keycheck.Begin, false},
		{true, keycheck.Ours, keycheck.Open, false},
		{true, keycheck.Foreign, keycheck.RefuseOther, true},
		{true, keycheck.Readable, keycheck.Adopt, false},
		{true, keycheck.Unreadable, keycheck.RefuseOther, true},
		{true, keycheck.Unsealed, keycheck.AdoptUnseen, false},
		{true, keycheck.Unseen, keycheck.RefuseOther, true},
		{true, keycheck.Contents(99), keycheck.RefuseOther, true},
	}
	for _, tt := range tests {
		got := keycheck.Decide(tt.keyFile, tt.contents)
		if got != tt.want || got.Refused() != tt.refused {
			t.Errorf("Decide(%v, %v) = %v (refused %v), want %v (%v)", tt.keyFile, tt.contents, got, got.Refused(), tt.want, tt.refused)
		}
	}
}
