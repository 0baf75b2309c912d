// SPDX-License-Identifier: Apache-2.0

package words

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/bidi"
)

// shown is a text of a right-to-left language as a screen shows it, in pieces
// from left to right; within a piece of letters of the language their order is
// as they are stored.
func shown(t *testing.T, text string) []string {
	t.Helper()
	var p bidi.Paragraph
	if _, err := p.SetString(text); err != nil {
		t.Fatal(err)
	}
	order, err := p.Order()
	if err != nil {
		t.Fatal(err)
	}
	var pieces []string
	for i := range order.NumRuns() {
		run := order.Run(i)
		pieces = append(pieces, strings.Trim(run.String(), " .:-،"+isolateLTR+isolateEnd))
	}
	return pieces
}

// TestCodeAndServerAreShownWhole: in each language that is written from right
// to left, and without isolates, which cost.
func TestCodeAndServerAreShownWhole(t *testing.T) {
	s := newSet(t)
	for _, lang := range s.Languages() {
		if !lang.RTL {
			continue
		}
		for _, purpose := range purposes {
			text := smsOf(t, s, "", purpose, lang.Tag)
			if strings.ContainsAny(text, isolateLTR+isolateEnd) {
				t.Errorf("%s, %s: an isolate is paid for and not needed: %q", lang.Tag, purpose, text)
			}
			for _, want := range []string{sampleCode, testServer} {
				if !slices.Contains(shown(t, text), want) {
					t.Errorf("%s, %s: %s is not one piece of %q", lang.Tag, purpose, want, shown(t, text))
				}
			}
		}
	}
}

// TestNamesThatNeedIsolates: those that begin with a number, or stand where
// they would be drawn to what is next to them.
func TestNamesThatNeedIsolates(t *testing.T) {
	tests := []struct {
		name, text, server string
		isolated           bool
	}{
		{"between words", "קוד {{.Code}} של {{.Server}} כאן", "example.org", false},
		{"at the end", "קוד {{.Code}} של {{.Server}}.", "example.org", false},
		{"with a port", "קוד {{.Code}} של {{.Server}} כאן", "example.org:8443", false},
		{"with numbers in it", "קוד {{.Code}} של {{.Server}} כאן", "m-1.2_3.example.org", false},
		{"after a number", "קוד {{.Code}} {{.Server}} כאן", "example.org", false},
		{"a number first", "קוד {{.Code}} של {{.Server}} כאן", "1.example.org", true},
		{"an address of IPv6", "קוד {{.Code}} של {{.Server}} כאן", "[::1]:8008", true},
		{"an address of IPv6 without a port", "קוד {{.Code}} של {{.Server}} כאן", "h[::1]", true},
		{"at the beginning", "{{.Server}}: קוד {{.Code}}", "example.org", true},
		{"before the code", "קוד {{.Server}} {{.Code}}", "example.org", true},
		{"after a Latin word", "קוד Matrix {{.Server}}, {{.Code}}", "example.org", true},
		{"before a Latin word", "קוד {{.Server}} Matrix {{.Code}}", "example.org", true},
		{"before a number of Arabic", "رمز {{.Code}} {{.Server}} ٣ مرات", "example.org", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serving(t, Options{Server: tt.server, Folder: folder("he/words.txt", define("add sms", tt.text))})
			got := smsOf(t, s, "", "add", "he")
			if strings.Contains(got, isolateLTR+tt.server+isolateEnd) != tt.isolated {
				t.Errorf("got %q, want isolated = %v", got, tt.isolated)
			}
			for _, want := range []string{tt.server, sampleCode} {
				if pieces := shown(t, got); !slices.ContainsFunc(pieces, func(piece string) bool { return strings.Contains(piece, want) }) {
					t.Errorf("%s is not whole in %q", want, pieces)
				}
			}
			plain := strings.NewReplacer(isolateLTR, "", isolateEnd, "").Replace(got)
			if want := strings.NewReplacer("{{.Code}}", sampleCode, "{{.Server}}", tt.server).Replace(tt.text); plain != want {
				t.Errorf("got %q, want %q", plain, want)
			}
		})
	}
}
