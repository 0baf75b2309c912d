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
		doubtful bool
	}{
		{false, keycheck.Empty, keycheck.Create, false, false},
		{false, keycheck.Ours, keycheck.RefuseMissing, true, false},
		{false, keycheck.Foreign, keycheck.RefuseMissing, true, false},
		{false, keycheck.Readable, keycheck.RefuseMissing, true, false},
		{false, keycheck.Unreadable, keycheck.RefuseMissing, true, false},
		{false, keycheck.Unsealed, keycheck.RefuseMissing, true, false},
		{false, keycheck.Unseen, keycheck.RefuseMissing, true, false},
		{true, keycheck.Empty, keycheck.Begin, false, true},
		{true, keycheck.Ours, keycheck.Open, false, false},
		{true, keycheck.Foreign, keycheck.RefuseOther, true, false},
		{true, keycheck.Readable, keycheck.Adopt, false, false},
		{true, keycheck.Unreadable, keycheck.RefuseOther, true, false},
		{true, keycheck.Unsealed, keycheck.AdoptUnseen, false, true},
		{true, keycheck.Unseen, keycheck.RefuseOther, true, false},
		{true, keycheck.Contents(99), keycheck.RefuseOther, true, false},
	}
	for _, tt := range tests {
		got := keycheck.Decide(tt.keyFile, tt.contents)
		if got != tt.want || got.Refused() != tt.refused || got.Doubtful() != tt.doubtful {
			t.Errorf("Decide(%v, %v) = %v (refused %v, doubtful %v), want %v (%v, %v)",
				tt.keyFile, tt.contents, got, got.Refused(), got.Doubtful(), tt.want, tt.refused, tt.doubtful)
		}
	}
}
