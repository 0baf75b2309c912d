// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// otherReadings are bodies that we would read in one way and some homeserver in
// another: each names a foreign identity server, or more, in it.
var otherReadings = map[string]string{
	"upper case":              `{"Three_Pid_Creds":{"sid":"x","client_secret":"s","id_server":"evil.example:443"}}`,
	"upper case, and ours":    `{"three_pid_creds":{"sid":"x","client_secret":"s"},"THREE_PID_CREDS":{"sid":"x","id_server":"evil.example:443"}}`,
	"long s":                  `{"three_pid_credſ":{"sid":"x","client_secret":"s","id_server":"evil.example:443"}}`,
	"long s, escaped":         `{"three_pid_cred\u017f":{"sid":"x","client_secret":"s","id_server":"evil.example:443"}}`,
	"upper case inside":       `{"three_pid_creds":{"SID":"x","client_secret":"s","id_server":"localhost:8443"}}`,
	"long s inside":           `{"three_pid_creds":{"ſid":"x","client_secret":"s"}}`,
	"bind":                    `{"three_pid_creds":{"sid":"x","client_secret":"s"},"Bind":true}`,
	"sign of Kelvin":          `{"three_pid_creds":{"sid":"x","client_secret":"s"},"to\u212aen":"x"}`,
	"addreſs":                 `{"medium":"email","addreſs":"alice@x.org","address":"bob@x.org"}`,
	"dotless i":               `{"three_pıd_creds":{"sid":"x"}}`,
	"dotted I":                `{"three_pİd_creds":{"sid":"x"}}`,
	"full width":              `{"ａｕｔｈ":{}}`,
	"mathematical":            `{"𝐚uth":{}}`,
	"sharp s":                 `{"paßword":"x"}`,
	"ligature":                `{"identiﬁer":{}}`,
	"zero width":              `{"au\u200bth":{}}`,
	"soft hyphen":             `{"au\u00adth":{}}`,
	"accent":                  `{"aúth":{}}`,
	"control character":       `{"au\u0007th":{}}`,
	"ends at NUL":             `{"auth\u0000x":{}}`,
	"camel in another case":   `{"threepIDCreds":{}}`,
	"two words of camel":      `{"threepidCreds":{},"threePidCreds":{}}`,
	"twice":                   `{"auth":{},"auth":{}}`,
	"twice, escaped":          `{"auth":{},"\u0061uth":{}}`,
	"twice, of no meaning":    `{"x":1,"X":2}`,
	"twice, deep":             `{"x":[{"y":{"é":1,"É":2}}]}`,
	"not a number":            `{"x":NaN}`,
	"infinite":                `{"x":Infinity}`,
	"infinite, negative":      `{"x":-Infinity}`,
	"too large":               `{"x":1e400}`,
	"half a character":        `{"x":"\ud800"}`,
	"half a character as key": `{"\udc00":1}`,
	"two halves, wrong order": `{"x":"\udc00\ud800"}`,
	"half, then an escape":    `{"x":"\ud800\n"}`,
	"byte order mark":         "\ufeff{}",
	"UTF-16":                  "{\x00}\x00",
	"UTF-16, big":             "\x00{\x00}",
	"UTF-16, marked":          "\xff\xfe{\x00}\x00",
	"UTF-32":                  "{\x00\x00\x00}\x00\x00\x00",
	"no UTF-8":                "{\"x\":\"\xff\"}",
	"single quotes":           `{'auth':{}}`,
	"trailing comma":          `{"auth":{},}`,
	"comment":                 `{/**/"auth":{}}`,
	"something after it":      `{"auth":{}} x`,
	"control in a text":       "{\"x\":\"\x01\"}",
	"too deep":                `{"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
}

// TestBodiesWithTwoReadingsAreRefused: on a path of ours, at every depth.
func TestBodiesWithTwoReadingsAreRefused(t *testing.T) {
	for name, raw := range otherReadings {
		t.Run(name, func(t *testing.T) {
			for _, body := range []string{raw, `{"n":[{"m":` + raw + `}]}`} {
				_, err := parseObject([]byte(body))
				me, ok := errors.AsType[*MatrixError](err)
				if !ok || me.Status != http.StatusBadRequest || (me.Errcode != codeBadJSON && me.Errcode != codeNotJSON) {
					t.Errorf("%q: got %v, want it refused as bad JSON", body, err)
				}
			}
			// None of it depends on where a homeserver would look: as auth of
			// any endpoint, too.
			if _, err := parseEnvelope([]byte(`{"auth":{"x":` + raw + `},"devices":[]}`)); err == nil || errors.Is(err, errNotObject) {
				t.Errorf("in auth: got %v, want it refused", err)
			}
		})
	}
}

// TestBodiesWithOneReadingAreTaken: what clients send, and what is no concern.
func TestBodiesWithOneReadingAreTaken(t *testing.T) {
	for _, body := range []string{
		`{}`, " {\r\n} ", `{"x":"\ud83d\ude00","y":"\\ud800","é":1,"e\\u":2}`, `{"x":12345678901234567890,"y":-0.0,"z":1e-400}`,
		`{"threepid_creds":1,"threepidCreds":1}`, `{"three_pid_creds":1,"threePidCreds":1}`, `{"client_secret":1,"clientSecret":1}`,
		`{"ü":{"Ü2":1},"org.example.Key":true,"m.login.dummy":{}}`, `{"identifier":{"type":"m.id.user","user":"alice"}}`,
	} {
		for name, parse := range map[string]func([]byte) (object, error){"object": parseObject, "envelope": parseEnvelope, "answer": parseAnswer} {
			if _, err := parse([]byte(body)); err != nil {
				t.Errorf("%s as %s: got %v", body, name, err)
			}
		}
	}
}

// TestEnvelopesLeaveToOthersWhatIsTheirs: beside "auth", only the keys of the
// body itself have to be different ones.
func TestEnvelopesLeaveToOthersWhatIsTheirs(t *testing.T) {
	for body, refused := range map[string]bool{
		`{"auth":{},"Devices":["D"],"address":1,"Token":2}`:    false,
		`{"auth":{"session":"s"},"x":{"y":1,"Y":2,"sid":1}}`:   false,
		`{"auth":{"session":"s"},"x":{"y":1,"y":2,"Auth":{}}}`: false,
		`{"x":[{"Auth":1}]}`: false,
		`{"auth":{"identifier":{"type":"m.id.user","uſer":"x"}}}`: true,
		`{"auth":{"session":"s","Session":"t"}}`:                  true,
		`{"auth":{"threepid_creds":[{"Id_server":"evil"}]}}`:      true,
		`{"Auth":{}}`:                       true,
		`{"auth":{},"AUTH":{}}`:             true,
		`{"devices":[],"Devices":[]}`:       true,
		`{"auth":{},"x":NaN}`:               true,
		`{"auth":{},"x":"\ud800"}`:          true,
		"\ufeff" + `{"auth":{}}`:            true,
		`{"auth":{}`:                        true,
		"{\x00\"\x00a\x00\"\x00:\x001\x00}": true,
	} {
		_, err := parseEnvelope([]byte(body))
		if got := err != nil; got != refused {
			t.Errorf("%q: got %v, want refused: %v", body, err, refused)
		}
		if errors.Is(err, errNotObject) {
			t.Errorf("%q: somebody could see an object in it", body)
		}
	}
	for _, body := range []string{"", "null", "[1]", "session=u&x=m.login.dummy", "\x89PNG", `"auth"`, "NaN"} {
		if _, err := parseEnvelope([]byte(body)); !errors.Is(err, errNotObject) {
			t.Errorf("%q: got %v, want %v: nobody can see an object in it", body, err, errNotObject)
		}
	}
}

// TestAnswersMayHaveKeysOfEveryKind: what another server answers is read by us.
func TestAnswersMayHaveKeysOfEveryKind(t *testing.T) {
	if _, err := parseAnswer([]byte(`{"User_ID":1,"x":{"A":1,"a":2},"y":"\ud800"}`)); err != nil {
		t.Errorf("got %v", err)
	}
	if _, err := parseAnswer([]byte(`{"x":1e400}`)); err != nil {
		t.Errorf("got %v: the number is nothing to us", err)
	}
	if _, err := parseObject([]byte(`{"x":1e400}`)); !errors.Is(err, errNumber) {
		t.Errorf("got %v, want %v", err, errNumber)
	}
	if _, err := parseAnswer([]byte(`{"x":{"a":1,"a":2}}`)); !errors.Is(err, errDuplicate) {
		t.Errorf("got %v, want %v", err, errDuplicate)
	}
}

func BenchmarkReading(b *testing.B) {
	raw := []byte(`{"new_password":"correct horse","auth":{"type":"m.login.email.identity","session":"abcdefghijklmnopqrstuvwx",` +
		`"threepid_creds":{"sid":"0123456789abcdef","client_secret":"s"},"threepidCreds":{"sid":"0123456789abcdef","client_secret":"s"}}}`)
	for name, parse := range map[string]func([]byte) (object, error){"object": parseObject, "envelope": parseEnvelope, "answer": parseAnswer} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
