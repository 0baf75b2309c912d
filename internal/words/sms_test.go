// SPDX-License-Identifier: Apache-2.0

package words

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-threepid/caddy-threepid/internal/sms/gsm7"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// usualServer is as long as a name may be for ours to fit one message.
const usualServer = "matrix.example20.org"

// ucs2 are the languages whose writing is not in the alphabet of networks.
var ucs2 = map[string]bool{"ar": true, "fa": true, "he": true, "ja": true, "ko": true, "ru": true, "uk": true, "zh-Hans": true}

func smsMessage(purpose, lang string) verification.Message {
	return verification.Message{
		ID: "0fAbCdEf.1", SID: "0fAbCdEf", Purpose: threepid.Purpose(purpose), Medium: threepid.MSISDN, Language: lang,
		Address: "491701234567", Proof: verification.ProofCode, Token: sampleCode, Created: sampleExpiry, Expires: sampleExpiry,
	}
}

func smsOf(t testing.TB, s *Set, brand, purpose, lang string) string {
	t.Helper()
	text, err := s.SMS(brand, smsMessage(purpose, lang))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func serving(t testing.TB, opts Options) *Set {
	t.Helper()
	s, err := Load(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestShortMessagesCostOne: each of ours, with a name of usual length, costs
// one message, in the cheap alphabet where the language has it.
func TestShortMessagesCostOne(t *testing.T) {
	if len(usualServer) != 20 {
		t.Fatalf("the name has %d characters", len(usualServer))
	}
	s := serving(t, Options{Server: usualServer})
	said := map[string]string{}
	for _, lang := range s.Languages() {
		for _, purpose := range purposes {
			text := smsOf(t, s, "", purpose, lang.Tag)
			got := gsm7.Of(text)
			t.Logf("%-8s %-9s %3d characters, UCS-2 %-5v %d segment: %s", lang.Tag, purpose, utf8.RuneCountInString(text), got.Unicode, got.Segments, text)
			if want := (gsm7.Count{Segments: 1, Unicode: ucs2[lang.Tag]}); got != want {
				t.Errorf("%s, %s: got %+v, want %+v", lang.Tag, purpose, got, want)
			}
			if strings.Count(text, sampleCode) != 1 || strings.Count(text, usualServer) != 1 {
				t.Errorf("%s, %s: the code or the server is missing: %q", lang.Tag, purpose, text)
			}
			if strings.ContainsAny(text, "\r\n\t{}<>") || strings.Contains(text, "  ") || strings.TrimSpace(text) != text {
				t.Errorf("%s, %s: not one tidy line: %q", lang.Tag, purpose, text)
			}
			for _, secret := range []string{"0fAbCdEf", "491701234567"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s, %s: it names %s", lang.Tag, purpose, secret)
				}
			}
			if other, twice := said[text]; twice {
				t.Errorf("%s, %s says the same as %s", lang.Tag, purpose, other)
			}
			said[text] = lang.Tag + ", " + purpose
		}
	}
	if want := len(purposes) * len(s.Languages()); len(said) != want || len(s.Languages()) != 17 {
		t.Errorf("%d texts in %d languages, want %d", len(said), len(s.Languages()), want)
	}
}

// TestShortMessageToTheLetter, so that a change of what is sent is seen.
func TestShortMessageToTheLetter(t *testing.T) {
	s := newSet(t)
	tests := []struct{ lang, purpose, want string }{
		{"en", "register", "041592 is your code to create an account on matrix.example.org. Give it to nobody. If you did not ask for it, ignore this message."},
		{"de", "password", "041592 ist Ihr Code für ein neues Passwort auf matrix.example.org. Wer ihn hat, kann Ihr Konto übernehmen: Geben Sie ihn niemandem."},
		{"ja", "add", "041592 は matrix.example.org のアカウントに電話番号を追加するコードです。他の人に教えないでください。"},
		{"ar", "register", "041592 رمز إنشاء حسابك على matrix.example.org. لا تعطه لأحد."},
		{"he", "password", "041592 הוא קוד לאיפוס הסיסמה ב-matrix.example.org. אין למסור אותו."},
		{"pt-BR", "add", "041592 é o seu PIN para adicionar este telefone a uma conta em matrix.example.org. Nunca passe o PIN a ninguém."},
		{"tlh", "add", "041592 is your code to add this phone number to an account on matrix.example.org. Give it to nobody. If you did not ask for it, ignore this message."},
	}
	for _, tt := range tests {
		if got := smsOf(t, s, "", tt.purpose, tt.lang); got != tt.want {
			t.Errorf("%s, %s: got %q, want %q", tt.lang, tt.purpose, got, tt.want)
		}
	}
}

// TestShortMessagesOfAnOperator: of the brand, then of the folder, then ours.
func TestShortMessagesOfAnOperator(t *testing.T) {
	s := serving(t, Options{Server: testServer, Brands: []string{"acme"}, Folder: folder(
		"de/words.txt", define("add sms", "{{.Code}}\n  für {{.Server}}"),
		"brands/acme/de/words.txt", define("add sms", "Acme: {{.Code}} für {{.Server}}"),
		"brands/acme/fr/words.txt", define("add sms", "Ça coûte: {{.Code}} {{.Server}}"+strings.Repeat(" ê", 60)),
	)})
	for _, tt := range []struct{ brand, lang, want string }{
		{"", "de", "041592 für " + testServer},
		{"acme", "de", "Acme: 041592 für " + testServer},
		{"nobody", "de", "041592 für " + testServer},
		{"acme", "it", smsOf(t, newSet(t), "", "add", "it")},
	} {
		if got := smsOf(t, s, tt.brand, "add", tt.lang); got != tt.want {
			t.Errorf("brand %q in %s: got %q, want %q", tt.brand, tt.lang, got, tt.want)
		}
	}
	costs := map[string]SMSCost{}
	for _, c := range s.SMSCosts() {
		costs[c.Brand+"/"+c.Language+"/"+c.Purpose] = c
	}
	if want := 2 * 17 * 3; len(costs) != want {
		t.Errorf("%d costs, want %d", len(costs), want)
	}
	for key, want := range map[string]gsm7.Count{
		"/fr/add": {Segments: 1}, "acme/fr/add": {Segments: 3, Unicode: true}, "acme/de/add": {Segments: 1}, "/ja/register": {Segments: 1, Unicode: true},
	} {
		if got := costs[key].Count; got != want {
			t.Errorf("%s costs %+v, want %+v", key, got, want)
		}
	}
}

// TestALongNameCosts: what fits depends on this server's own name.
func TestALongNameCosts(t *testing.T) {
	s := serving(t, Options{Server: strings.Repeat("h", 60) + ".example"})
	for _, c := range s.SMSCosts() {
		if c.Brand != "" || c.Language == "" || c.Purpose == "" || c.Segments < 1 || c.Segments > maxSegments {
			t.Errorf("got %+v", c)
		}
		if c.Unicode && c.Segments == 1 {
			t.Errorf("%s, %s: 68 characters of a name and the rest fit 70", c.Language, c.Purpose)
		}
	}
}

// TestShortMessagesThatAreRefused: when they are loaded, and with the place.
func TestShortMessagesThatAreRefused(t *testing.T) {
	const alone = "does not stand alone"
	tests := []struct{ name, text, want string }{
		{"no code", "{{.Server}}", "must have {{.Code}} and {{.Server}}"},
		{"no server", "{{.Code}}", "must have {{.Code}} and {{.Server}}"},
		{"nothing", "", "is empty"},
		{"a link", "{{.Code}} {{.Server}} {{.Link}}", "cannot name {{.Link}}"},
		{"the address", "{{.Code}} {{.Server}} {{.Address}}", "cannot name {{.Address}}"},
		{"a condition", "{{if .Code}}{{.Server}}{{end}}", "can only name values"},
		{"four messages", "{{.Code}} {{.Server}}" + strings.Repeat(" abcdefghi", 45), "costs 4 messages, at most 3"},
		{"four messages for one letter", "{{.Code}} {{.Server}} ŝ" + strings.Repeat(" abcdefghi", 20), "costs 4 messages, at most 3"},
		{"a digit after the code", "{{.Code}}0 {{.Server}}", alone},
		{"a digit of another alphabet", "٣{{.Code}} {{.Server}}", alone},
		{"a letter before the code", "G{{.Code}} {{.Server}}", alone},
		{"more of a name", "{{.Code}} {{.Server}}.evil.example", alone},
		{"the end of another name", "{{.Code}} evil-{{.Server}}", alone},
		{"a link by hand", "{{.Code}} https://{{.Server}}", alone},
		{"a path", "{{.Code}} {{.Server}}/reset", alone},
		{"the code as a port", "{{.Server}}:{{.Code}}", alone},
		{"a hidden letter", "{{.Code}} {{.Server}}\u202e", "U+202E"},
		{"an escape", "{{.Code}} {{.Server}} \x1b", "U+001B"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(Options{Server: testServer, Folder: folder("de/words.txt", "\n\n"+define("add sms", tt.text))})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "de/words.txt:3") {
				t.Errorf("error = %v, want one with de/words.txt:3 and %q", err, tt.want)
			}
		})
	}
	_, err := Load(Options{Server: testServer, Brands: []string{"acme"}, Folder: folder("brands/acme/de/words.txt", define("add sms", "{{.Code}}{{.Server}}"))})
	want := "brand acme: short message for add in de: brands/acme/de/words.txt:1: "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error = %v, want one that begins with %q", err, want)
	}
}

// TestNamesThatOccurInWords: a server may be called as a part of a word.
func TestNamesThatOccurInWords(t *testing.T) {
	for _, server := range []string{"count", "o", "a1", "localhost:8443", "[::1]:8008", sampleSMSCode} {
		if _, err := New(server); err != nil {
			t.Errorf("%s: %v", server, err)
		}
	}
}

// TestMessagesThatAreNoSMS: nothing else than a code of ours gets into one, and
// no error tells it.
func TestMessagesThatAreNoSMS(t *testing.T) {
	tests := []struct {
		name   string
		change func(*verification.Message)
	}{
		{"a mail", func(m *verification.Message) { m.Medium = threepid.Email }},
		{"no medium", func(m *verification.Message) { m.Medium = "" }},
		{"another purpose", func(m *verification.Message) { m.Purpose = "bind" }},
		{"a link", func(m *verification.Message) { m.Proof = verification.ProofLink }},
		{"no proof", func(m *verification.Message) { m.Proof = 0 }},
		{"no code", func(m *verification.Message) { m.Token = "" }},
		{"a token", func(m *verification.Message) { m.Token = "s3cr3t_token-1" }},
		{"seven digits", func(m *verification.Message) { m.Token = "1234567" }},
		{"digits of another alphabet", func(m *verification.Message) { m.Token = "٠٤١٥٩٢" }},
		{"a line break", func(m *verification.Message) { m.Token = "123456\n" }},
		{"an element", func(m *verification.Message) { m.Token = hostileCode }},
		{"a link in place of a code", func(m *verification.Message) { m.Token = hostileLink }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := smsMessage("add", "en")
			tt.change(&m)
			text, err := newSet(t).SMS("", m)
			if err == nil || text != "" {
				t.Fatalf("got %q, %v, want an error", text, err)
			}
			if m.Token != "" && strings.Contains(err.Error(), string(m.Token)) {
				t.Errorf("the error tells the token: %v", err)
			}
		})
	}
}
