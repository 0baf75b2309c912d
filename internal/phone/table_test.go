// SPDX-License-Identifier: Apache-2.0

package phone_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/phone"
)

const tableFile = "testdata/numbers.tsv"

// row is a line of the table; the file says what the columns are.
type row struct {
	country, typed, verdict string
	want                    phone.Number
	international           string
}

// table reads the table.
func table(t testing.TB) []row {
	t.Helper()
	content, err := os.ReadFile(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 7 {
			t.Fatalf("%q has %d columns, want 7", line, len(f))
		}
		r := row{
			verdict: f[2], international: f[6],
			want: phone.Number{Digits: f[3], Region: f[4], Kind: phone.Kind(f[5])},
		}
		for text, to := range map[string]*string{f[0]: &r.country, f[1]: &r.typed} {
			if err := json.Unmarshal([]byte(text), to); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// refusal is the error that a verdict stands for under the default policy.
var refusal = map[string]error{
	"ok": nil, "possible": phone.ErrInvalid, "invalid": phone.ErrInvalid, "form": phone.ErrInvalid,
	"kind": phone.ErrKind, "country": phone.ErrCountry,
}

// TestTableIsLargeEnough keeps the table what issue and documents say it is.
func TestTableIsLargeEnough(t *testing.T) {
	regions, verdicts := map[string]bool{}, map[string]int{}
	for _, r := range table(t) {
		verdicts[r.verdict]++
		if r.verdict == "ok" {
			regions[r.want.Region] = true
		}
	}
	if len(regions) < 60 {
		t.Errorf("got accepted numbers of %d regions, want at least 60", len(regions))
	}
	for verdict := range refusal {
		if verdicts[verdict] < 10 {
			t.Errorf("got %d rows with verdict %s, want at least 10", verdicts[verdict], verdict)
		}
	}
}

// TestF18_F19_Numbers holds Parse to the table under both policies, and what
// it accepts to the promises of its comments.
func TestF18_F19_Numbers(t *testing.T) {
	for _, r := range table(t) {
		for _, p := range []phone.Policy{{}, {Possible: true}} {
			wantErr, known := refusal[r.verdict]
			if !known {
				t.Fatalf("%q: verdict %q", r.typed, r.verdict)
			}
			if p.Possible && r.verdict == "possible" {
				wantErr = nil
			}
			got, err := checkParse(t, r.typed, r.country, p)
			if !wraps(err, wantErr) {
				t.Errorf("Parse(%q, %q, %+v): got error %v, want %v", r.typed, r.country, p, err, wantErr)
			}
			if wantErr != nil || err != nil {
				continue
			}
			if got != r.want {
				t.Errorf("Parse(%q, %q, %+v) = %+v, want %+v", r.typed, r.country, p, got, r.want)
			}
			if international := got.International(); international != r.international {
				t.Errorf("%+v: International() = %q, want %q", got, international, r.international)
			}
		}
	}
}

// TestPolicyRefusesKinds refuses each kind by policy that can be accepted at all.
func TestPolicyRefusesKinds(t *testing.T) {
	seen := map[phone.Kind]bool{}
	for _, r := range table(t) {
		if r.verdict != "ok" && r.verdict != "possible" {
			continue
		}
		seen[r.want.Kind] = true
		others := slices.DeleteFunc(phone.Kinds(), func(k phone.Kind) bool { return k == r.want.Kind })
		for _, tt := range []struct {
			refuse  []phone.Kind
			wantErr error
		}{{others, nil}, {[]phone.Kind{r.want.Kind}, phone.ErrKind}, {phone.Kinds(), phone.ErrKind}} {
			_, err := phone.Parse(r.typed, r.country, phone.Policy{Possible: true, Refuse: tt.refuse})
			if !wraps(err, tt.wantErr) {
				t.Errorf("Parse(%q, %q) refusing %s: got error %v, want %v", r.typed, r.country, tt.refuse, err, tt.wantErr)
			}
		}
	}
	if want := len(phone.Kinds()) - 6; len(seen) != want {
		t.Errorf("the table has numbers of %d kinds that can be accepted, want all %d", len(seen), want)
	}
}

// TestFromDigits takes what a homeserver may have stored, and what it may not.
func TestFromDigits(t *testing.T) {
	for digits, want := range map[string]phone.Number{
		"447400123456": {Digits: "447400123456", Region: "GB", Kind: phone.Mobile},
		"18762101234":  {Digits: "18762101234", Region: "JM", Kind: phone.Mobile},
		"15552345678":  {Digits: "15552345678", Region: "US", Kind: phone.Unknown},
		"33899700000":  {Digits: "33899700000", Region: "FR", Kind: phone.PremiumRate},
		// Stored by something that did not know of trunk prefixes: it stays as
		// it is stored, though the library knows better what it means.
		"4407400123456": {Digits: "4407400123456", Region: "GB", Kind: phone.Mobile},
	} {
		if got, err := phone.FromDigits(digits); got != want || err != nil || phone.RegionOf(digits) != want.Region {
			t.Errorf("FromDigits(%q) = %+v, %v, want %+v; RegionOf = %q", digits, got, err, want, phone.RegionOf(digits))
		}
	}
	for _, digits := range []string{
		"", "+447400123456", "44 7400 123456", "07400123456", "999123456789", "44", "4", "447400123456x",
		"\uff14\uff147400123456", "4474001234561234", strings.Repeat("4", 300), "44740012345\n",
	} {
		if got, err := phone.FromDigits(digits); got != (phone.Number{}) || !wraps(err, phone.ErrInvalid) || phone.RegionOf(digits) != "" {
			t.Errorf("FromDigits(%q) = %+v, %v, want %v", digits, got, err, phone.ErrInvalid)
		}
	}
	for _, r := range table(t) {
		if r.verdict != "ok" && r.verdict != "possible" && r.verdict != "kind" {
			continue
		}
		if got, err := phone.FromDigits(r.want.Digits); got != r.want || err != nil {
			t.Errorf("FromDigits(%q) = %+v, %v, want %+v", r.want.Digits, got, err, r.want)
		}
	}
}

// TestInternationalOfAnything writes numbers that this package did not make.
func TestInternationalOfAnything(t *testing.T) {
	for digits, want := range map[string]string{"": "+", "999123": "+999123", "12015550123": "+1 201-555-0123"} {
		if got := (phone.Number{Digits: digits}).International(); got != want {
			t.Errorf("International() of %q = %q, want %q", digits, got, want)
		}
	}
}

// TestKnownRegion tells countries from what only looks like one.
func TestKnownRegion(t *testing.T) {
	for region, want := range map[string]bool{
		"GB": true, "JM": true, "XK": true, "AX": true,
		"": false, "gb": false, "UK": false, "ZZ": false, "001": false, "AQ": false, "G": false,
	} {
		if got := phone.KnownRegion(region); got != want {
			t.Errorf("KnownRegion(%q) = %v, want %v", region, got, want)
		}
	}
}

// TestCheckCountry: what is refused is told what to write, where that can be known.
func TestCheckCountry(t *testing.T) {
	for code, want := range map[string]string{
		"GB": "", "gb": "", "001": "",
		"UK": "GB", "uk": "GB", "EN": "GB", "EU": "one by one", "44": "+44", "002": "+002",
		"": "is not the ISO 3166-1 code of a country", "XX": "is not the ISO 3166-1 code of a country", "4a": "is not the ISO 3166-1 code of a country",
	} {
		if err := phone.CheckCountry(code); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("CheckCountry(%q) = %v, want %q", code, err, want)
		}
	}
}

// TestPossibleNumbersHaveBounds of their own: any two digits would be possible in
// Germany, and more than there are in any number.
func TestPossibleNumbersHaveBounds(t *testing.T) {
	for n := range 20 {
		number := "49" + strings.Repeat("2", n)
		want := phone.ErrInvalid
		if len(number) >= 7 && len(number) <= 15 {
			want = nil
		}
		if _, err := phone.Parse("+"+number, "DE", phone.Policy{Possible: true}); !wraps(err, want) {
			t.Errorf("%d digits: got %v, want %v", len(number), err, want)
		}
		if _, err := phone.FromDigits(number); (err == nil) != (len(number) <= 15) && len(number) >= 7 {
			t.Errorf("%d digits that were stored: got %v", len(number), err)
		}
	}
}
