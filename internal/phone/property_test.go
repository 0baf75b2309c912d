// SPDX-License-Identifier: Apache-2.0

package phone_test

import (
	"errors"
	"flag"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/phone"
)

// wraps is errors.Is that takes nil for an error as well.
func wraps(err, target error) bool {
	return err == nil && target == nil || target != nil && errors.Is(err, target)
}

// never are the kinds no policy accepts.
var never = []phone.Kind{phone.PremiumRate, phone.SharedCost, phone.TollFree, phone.Pager, phone.Voicemail, phone.UAN}

// checkParse is what the rest of the program relies on, for any input. It returns
// what it has checked.
func checkParse(t *testing.T, typed, country string, p phone.Policy) (phone.Number, error) {
	t.Helper()
	got, err := phone.Parse(typed, country, p)
	if err != nil {
		if got != (phone.Number{}) {
			t.Errorf("Parse(%q, %q) = %+v along with an error", typed, country, got)
		}
		if !wraps(err, phone.ErrInvalid) && !wraps(err, phone.ErrCountry) && !wraps(err, phone.ErrKind) {
			t.Errorf("Parse(%q, %q): got error %v, want one of the three", typed, country, err)
		}
		if strings.ContainsAny(err.Error(), "0123456789") {
			t.Errorf("Parse(%q, %q): the error %q tells of the number", typed, country, err)
		}
		return got, err
	}
	if got.Digits == "" || len(got.Digits) > 15 || strings.Trim(got.Digits, "0123456789") != "" || got.Digits[0] == '0' {
		t.Errorf("Parse(%q, %q) = %+v: these are no E.164 digits", typed, country, got)
	}
	if got.Region != "001" && !phone.KnownRegion(got.Region) {
		t.Errorf("Parse(%q, %q) = %+v: there is no such region", typed, country, got)
	}
	if !slices.Contains(phone.Kinds(), got.Kind) || slices.Contains(never, got.Kind) || slices.Contains(p.Refuse, got.Kind) {
		t.Errorf("Parse(%q, %q) = %+v: there is no such kind, or it is refused", typed, country, got)
	}
	if !p.Possible && got.Kind == phone.Unknown {
		t.Errorf("Parse(%q, %q) = %+v, and it is not valid", typed, country, got)
	}
	written := got.International()
	if strings.IndexFunc(written, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		t.Errorf("Parse(%q, %q) is shown as %+q: what was typed is left in it", typed, country, written)
	}
	for _, from := range []string{country, "US", "de"} {
		for _, spelling := range []string{"+" + got.Digits, written} {
			if again, err := phone.Parse(spelling, from, p); again != got || err != nil {
				t.Errorf("Parse(%q, %q) = %+v, but Parse(%q, %q) = %+v, %v", typed, country, got, spelling, from, again, err)
			}
		}
	}
	if stored, err := phone.FromDigits(got.Digits); stored != got || err != nil {
		t.Errorf("Parse(%q, %q) = %+v, but FromDigits = %+v, %v", typed, country, got, stored, err)
	}
	return got, nil
}

// TestParseConcurrently is for the race detector: the library fills caches.
func TestParseConcurrently(t *testing.T) {
	rows := table(t)
	type outcome struct {
		number phone.Number
		failed bool
	}
	read := func(r row) outcome {
		n, err := phone.Parse(r.typed, r.country, phone.Policy{})
		return outcome{n, err != nil}
	}
	const readers = 4
	results := make([][]outcome, readers)
	var group sync.WaitGroup
	for i := range readers {
		group.Go(func() {
			outcomes := make([]outcome, len(rows))
			for j := range rows { // each begins elsewhere
				k := (j + i*len(rows)/readers) % len(rows)
				outcomes[k] = read(rows[k])
			}
			results[i] = outcomes
		})
	}
	group.Wait()
	for i, r := range rows {
		want := outcome{failed: r.verdict != "ok"}
		if !want.failed {
			want.number = r.want
		}
		for _, outcomes := range results {
			if outcomes[i] != want {
				t.Errorf("Parse(%q, %q): got %+v, want %+v", r.typed, r.country, outcomes[i], want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	fuzzing := flag.Lookup("test.fuzz").Value.String() != ""
	for i, r := range table(f) {
		if fuzzing || i%20 == 0 { // TestF18_F19_Numbers checks them all
			f.Add(r.typed, r.country, r.verdict == "possible")
		}
	}
	f.Fuzz(func(t *testing.T, typed, country string, possible bool) {
		_, _ = checkParse(t, typed, country, phone.Policy{Possible: possible})
		// Whatever was stored is read, or refused, and nothing else.
		if n, err := phone.FromDigits(typed); err == nil && (n.Digits != typed || n.International() == "") {
			t.Errorf("FromDigits(%q) = %+v", typed, n)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := phone.Parse("07400 123456", "GB", phone.Policy{}); err != nil {
			b.Fatal(err)
		}
	}
}
