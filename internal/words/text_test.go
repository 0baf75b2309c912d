// SPDX-License-Identifier: Apache-2.0

package words

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
	"pgregory.net/rapid"
)

// TestWrap: no line is too long unless it is one word, and no word is lost.
func TestWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.StringMatching(`[a-zé\x{a0}]{1,90}`)).Draw(t, "words")
		got := wrap(strings.Join(words, rapid.SampledFrom([]string{" ", "\n", " \n\t"}).Draw(t, "space")))
		if back := strings.FieldsFunc(got, func(r rune) bool { return r == ' ' || r == '\n' }); strings.Join(back, " ") != strings.Join(words, " ") {
			t.Fatalf("wrap changed the words to %q", back)
		}
		for line := range strings.SplitSeq(got, "\n") {
			if len([]rune(line)) > lineWidth && strings.Contains(line, " ") {
				t.Fatalf("line of %d characters: %q", len([]rune(line)), line)
			}
		}
	})
}

// TestWrapWithoutSpaces: Chinese and Japanese break between letters, but not
// before a sign that closes something, nor within a name in Latin letters.
func TestWrapWithoutSpaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[あ漢カ、。「」（）ーaz.]{0,300}`).Draw(t, "text")
		got := wrap(text)
		if strings.ReplaceAll(got, "\n", "") != text {
			t.Fatalf("wrap changed %q to %q", text, got)
		}
		for line := range strings.SplitSeq(got, "\n") {
			if line == "" && got != "" || line != "" && got != line && strings.ContainsRune("、。」）ー", []rune(line)[0]) && !strings.HasPrefix(text, line) {
				t.Fatalf("line begins with a sign that closes: %q", line)
			}
			if runes := []rune(line); len(runes) > 0 && strings.ContainsRune("「（", runes[len(runes)-1]) && !strings.HasSuffix(text, line) {
				t.Fatalf("line ends with a sign that opens: %q", line)
			}
		}
	})
	if got := wrap(strings.Repeat("漢", 36) + "matrix.example.org" + strings.Repeat("字", 36)); got != strings.Repeat("漢", 36)+"\nmatrix.example.org"+strings.Repeat("字", 27)+"\n"+strings.Repeat("字", 9) {
		t.Errorf("wrap = %q", got)
	}
	if got := wrap("가나 다라"); got != "가나 다라" {
		t.Errorf("wrap = %q", got)
	}
}

// TestJoinLines: a line break is a space, unless the writing has none.
func TestJoinLines(t *testing.T) {
	tests := []struct{ text, want string }{
		{"a\nb", "a b"},
		{" a \n\t b ", "a b"},
		{"", ""},
		{" ", ""},
		{"確認\nすると", "確認すると"},
		{"確認\n  すると", "確認すると"},
		{"確認 すると", "確認 すると"},
		{"です。\nはい", "です。はい"},
		{"確認\nabc\nする", "確認 abc する"},
		{"확인\n하면", "확인 하면"},
		{"a\u00a0:\nb", "a\u00a0: b"},
		{"из\nдома", "из дома"},
	}
	for _, tt := range tests {
		if got := joinLines(tt.text, true, true); got != tt.want {
			t.Errorf("joinLines(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
	if got := joinLines(" a ", false, false); got != " a " {
		t.Errorf("space beside a value = %q", got)
	}
}

// TestSuggest names what is near, and nothing else.
func TestSuggest(t *testing.T) {
	for typed, want := range map[string]string{
		"add tilte": "add title", "pasword title": "password title", "page done title ": "page done title", "link_until": "link until",
		"something else": "", "": "dir", strings.Repeat("x", 1000): "",
	} {
		got := suggest(typed, wordRules)
		if want == "" && got != "" || want != "" && !strings.Contains(got, `"`+want+`"`) {
			t.Errorf("suggest(%q) = %q, want %q", typed, got, want)
		}
	}
}

// TestLife: how long a proof works, in the plural forms of the language.
func TestLife(t *testing.T) {
	s := newSet(t)
	tests := []struct {
		lang string
		life time.Duration
		want string
	}{
		{"en", time.Hour, "1 hour"},
		{"en", 2 * time.Hour, "2 hours"},
		{"en", time.Minute, "1 minute"},
		{"en", 90 * time.Minute, "90 minutes"},
		{"en", 10*time.Minute - time.Second, "10 minutes"},
		{"en", 0, "1 minute"},
		{"en", -time.Hour, "1 minute"},
		{"en", 25*time.Hour + time.Minute, "25 hours"},
		{"en", 1 << 62, "1500 hours"},
		{"ru", 1 * time.Minute, "1 минуту"},
		{"ru", 3 * time.Minute, "3 минуты"},
		{"ru", 5 * time.Minute, "5 минут"},
		{"ru", 21 * time.Minute, "21 минуту"},
		{"ru", 11 * time.Minute, "11 минут"},
		{"ru", 24 * time.Hour, "24 часа"},
		{"uk", 22 * time.Hour, "22 години"},
		{"pl", 22 * time.Minute, "22 minuty"},
		{"pl", 12 * time.Minute, "12 minut"},
		{"ar", time.Hour, "ساعة واحدة"},
		{"ar", 2 * time.Hour, "ساعتين"},
		{"ar", 3 * time.Hour, "3 ساعات"},
		{"ar", 24 * time.Hour, "24 ساعة"},
		{"ar", 100 * time.Minute, "100 دقيقة"},
		{"he", 2 * time.Hour, "שעתיים"},
		{"he", 20 * time.Minute, "20 דקות"},
		{"he", 24 * time.Hour, "24 שעות"},
		{"ja", time.Hour, "1 時間"},
		{"fr", time.Hour, "1 heure"},
		{"fa", time.Hour, "1 ساعت"},
		{"nl", 2 * time.Hour, "2 uur"},
	}
	for _, tt := range tests {
		if got := s.brands[""][tt.lang].words.life(tt.life); got != tt.want {
			t.Errorf("%s: %s = %q, want %q", tt.lang, tt.life, got, tt.want)
		}
	}
}

// TestLifeIsNeverEmpty: there is a plural form for each number.
func TestLifeIsNeverEmpty(t *testing.T) {
	s := newSet(t)
	for _, lang := range s.matcher.tags {
		w := s.brands[""][lang].words
		for n := 1; n <= maxCount; n++ {
			for _, unit := range []time.Duration{time.Minute, time.Hour} {
				if got := w.life(time.Duration(n) * unit); got == "" {
					t.Fatalf("%s has no words for %s", lang, time.Duration(n)*unit)
				}
			}
		}
	}
	if got := formsOf(language.Polish); got["one"] != 1 || got["few"] != 2 || got["many"] != 2 || got["other"] != 0 {
		t.Errorf("plural forms of Polish = %v", got)
	}
}

// TestUntil is the same instant wherever it is read.
func TestUntil(t *testing.T) {
	if got := until(sampleExpiry); got != sampleUntil {
		t.Errorf("until = %q, want %q", got, sampleUntil)
	}
}
