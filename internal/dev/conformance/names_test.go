// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestProvedBy(t *testing.T) {
	tests := []struct {
		name string
		want []string
	}{
		{"TestR1_Something", []string{"R1"}},
		{"TestR1_R3_R5_Something", []string{"R1", "R3", "R5"}},
		{"TestF8_SendAttempt", []string{"F8"}},
		{"TestR19", []string{"R19"}},
		{"FuzzF6_ClientSecret", []string{"F6"}},
		{"TestE2E/R32_F39_reset", []string{"R32", "F39"}},
		{"TestE2E/callback/R32_reset", []string{"R32"}},
		{"TestE2E/R32_reset#01", []string{"R32"}},
		{"TestE2E/R32#01", []string{"R32"}},
		{"TestR1_Something/R2", []string{"R2"}},

		// The parent is a test of its own.
		{"TestR1_Something/plain", nil},
		// An id after the first word is part of the description.
		{"TestSomething_R1", nil},
		{"TestR1_Something_R2", []string{"R1"}},
		// These are words, not ids.
		{"TestR2D2", nil},
		{"TestR01_LeadingZero", nil},
		{"TestR_1", nil},
		{"TestX1_Other", nil},
		{"Testr1_lower", nil},
		{"BenchmarkR1_Speed", nil},
		{"ExampleR1", nil},
		{"", nil},
	}
	for _, tt := range tests {
		t.Run("name="+strings.ReplaceAll(tt.name, "/", " in "), func(t *testing.T) {
			if got := provedBy(tt.name); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAncestors(t *testing.T) {
	tests := []struct {
		name string
		want []string
	}{
		{"TestA", nil},
		{"TestA/b", []string{"TestA"}},
		{"TestA/b/c", []string{"TestA", "TestA/b"}},
	}
	for _, tt := range tests {
		if got := ancestors(tt.name); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
