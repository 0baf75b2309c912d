// SPDX-License-Identifier: Apache-2.0

package phone_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/rangetable"

	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
)

// ask has spellings.py print a list.
func ask(t *testing.T, env synapse.Env, into any, args ...string) {
	t.Helper()
	out, err := env.Output(t.Context(), append([]string{"testdata/spellings.py"}, args...)...)
	if err != nil {
		t.Fatalf("spellings.py: %v", err)
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("spellings.py printed %.100q: %v", out, err)
	}
}

// Between the digits: what Synapse's library takes, and what people put there
// besides. The first list is its VALID_PUNCTUATION but for x, ~ and ～, which
// begin an extension as well.
var (
	libraryBetween = []rune("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d\uff0e\uff0f \u00a0\u00ad\u200b\u2060\u3000()\uff08\uff09\uff3b\uff3d.[]/\u2053\u223c")
	alsoBetween    = append(append(members(unicode.Pd, unicode.Ps, unicode.Pe, unicode.Zs), members(unicode.Bidi_Control)...),
		[]rune("\t\u200c\u200d\ufeff\u00b7\u2022\u30fb\u2044\u2043\uff70\ufe0f\U000e0020{}")...)
	around = []rune(" \t\r\n\u0085\u00a0\u2028\u3000\u200b\u200e\u200f\u202a\u202c\u2066\u2069\ufeff\u00ad")
)

// members are the characters of classes that may stand between digits.
func members(classes ...*unicode.RangeTable) (list []rune) {
	rangetable.Visit(rangetable.Merge(classes...), func(r rune) {
		if r != '\u201a' && r != '\u201e' { // they look like a comma
			list = append(list, r)
		}
	})
	return list
}

// decorate writes number in the digits of a script, with some of the signs after
// its characters, and blanks and unseen marks around it.
func decorate(chance *rand.Rand, number string, zeros, signs []rune) string {
	pick := func(from []rune) string { return string(from[chance.IntN(len(from))]) }
	var b strings.Builder
	for range chance.IntN(3) {
		b.WriteString(pick(around))
	}
	rest, linked := strings.CutPrefix(number, "tel:")
	if linked {
		b.WriteString([]string{"tel:", "TEL:", "Tel: ", "tel:\u200e"}[chance.IntN(4)])
	}
	zero := zeros[chance.IntN(len(zeros))]
	for _, r := range rest {
		switch {
		case '0' <= r && r <= '9':
			b.WriteRune(zero + r - '0')
		case r == '+' && chance.IntN(3) == 0:
			b.WriteRune('＋')
		default:
			b.WriteRune(r)
		}
		if chance.IntN(5) == 0 {
			b.WriteString(pick(signs))
		}
	}
	for range chance.IntN(3) {
		b.WriteString(pick(around))
	}
	return b.String()
}

// zerosOf are the zeros of all scripts of which the library and we know the digits.
func zerosOf(t *testing.T, env synapse.Env) (zeros []rune) {
	t.Helper()
	var all [][2]rune
	ask(t, env, &all, "digits")
	for _, d := range all {
		if got, ok := input.Number(string(d[0])); got != string('0'+d[1]) || !ok {
			t.Errorf("Number of U+%04X = %q, %v, Python's value is %d", d[0], got, ok, d[1])
		}
		if d[1] == 0 {
			zeros = append(zeros, d[0])
		}
	}
	if len(zeros) < 60 {
		t.Fatalf("got the zeros of %d scripts, want at least 60", len(zeros))
	}
	return zeros
}

// TestF19_NumbersAsPeopleTypeThem writes a number of each kind of every region in
// the ways in which people and programs do, with signs and unseen marks in it, in
// the digits of every script: it stays the same number to us. With the signs that
// Synapse's library knows it reads the same one, and with others no other valid
// one. What we refuse, we refuse for what the number is, however it is written.
func TestF19_NumbersAsPeopleTypeThem(t *testing.T) {
	env := realEnv(t)
	zeros := zerosOf(t, env)
	var examples [][5]string
	ask(t, env, &examples, "examples")
	chance := rand.New(rand.NewPCG(2, 3966)) // the same spellings in every run
	var known, wide bytes.Buffer
	regions, accepted, refused := map[string]bool{}, 0, 0
	parse := parseOnce()
	for _, e := range examples {
		country, digits := e[0], e[1]
		for _, form := range e[2:] {
			want, wantErr := parse(form, country)
			if wantErr == nil && want.Digits != digits {
				t.Errorf("Parse(%q, %s) = %s, want %s", form, country, want.Digits, digits)
			}
			for i, between := range [][]rune{libraryBetween, alsoBetween} {
				typed := decorate(chance, form, zeros, between)
				got, err := parse(typed, country)
				if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
					t.Errorf("Parse(%+q, %s) = %+v, %v, want %+v, %v as of %q", typed, country, got, err, want, wantErr, form)
				}
				if err != nil {
					refused++
					continue
				}
				accepted++
				regions[country] = true
				to := []*bytes.Buffer{&known, &wide}[i]
				fmt.Fprintf(to, "%s\t%s\t%s\n", quote(t, country), quote(t, typed), digits)
			}
		}
	}
	t.Logf("%d numbers; spellings: %d accepted, of %d regions, and %d refused as the number is", len(examples), accepted, len(regions), refused)
	if len(regions) < 230 || accepted < 3000 {
		t.Error("the comparison proves too little")
	}
	for _, difference := range runCheck(t, env, os.DevNull, known.Bytes()).Differences {
		t.Error(difference)
	}
	for _, difference := range judged(t, env, wide.Bytes()) {
		t.Error(difference)
	}
	if got := judged(t, env, []byte("\"GB\"\t\"07400123456\"\t447400123457\n")); len(got) != 1 {
		t.Errorf("got %q, want one difference", got)
	}
}

// parseOnce is phone.Parse, which sees nothing of what was typed but what it dials,
// and so need not be asked twice about that.
func parseOnce() func(typed, country string) (phone.Number, error) {
	type outcome struct {
		number phone.Number
		err    error
	}
	known := map[[2]string]outcome{}
	return func(typed, country string) (phone.Number, error) {
		dialled, ok := input.Number(typed)
		if !ok {
			return phone.Parse(typed, country, phone.Policy{})
		}
		got, found := known[[2]string{dialled, country}]
		if !found {
			got.number, got.err = phone.Parse(typed, country, phone.Policy{})
			known[[2]string{dialled, country}] = got
		}
		return got.number, got.err
	}
}

// judged are the spellings that are another valid number to the library.
func judged(t *testing.T, env synapse.Env, typed []byte) (differences []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "typed.tsv")
	if err := os.WriteFile(file, typed, 0o600); err != nil {
		t.Fatal(err)
	}
	ask(t, env, &differences, "judge", file)
	return differences
}
