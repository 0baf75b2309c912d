// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// FuzzReadings: a body that is accepted is read alike by encoding/json into a
// struct, by Python's json, by a map whose keys have no case, and by those that
// keep the first or the last of two; and so is what is forwarded.
func FuzzReadings(f *testing.F) {
	addBodies(f)
	for _, raw := range otherReadings {
		f.Add([]byte(raw))
		f.Add([]byte(`{"auth":{"x":` + raw + `}}`))
	}
	for _, creds := range foreignCreds {
		for _, places := range foreignPlaces {
			f.Add([]byte(strings.ReplaceAll(places[0], "%s", creds)))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		judgeReading(t, raw)
	})
}

// judgeReading reports whether a body was accepted.
func judgeReading(t *testing.T, raw []byte) bool {
	t.Helper()
	_, err := wire.ParseObject(raw)
	if err == nil {
		mustBeReadAlike(t, raw)
	}
	mustForwardWhatWasRead(t, raw)
	if o, err := wire.ParseEnvelope(raw); err == nil {
		mustBeFoundAlike(t, []byte(`{"auth":`+string(wire.Encoded(o["auth"]))+`}`))
		if got, _ := asStruct(raw, "auth"); string(got) != string(o["auth"]) {
			t.Errorf("%q: auth is %s to us and %s to a reader like Dendrite", raw, o["auth"], got)
		}
	}
	return err == nil
}

// TestReadersAgreeOnWhatChanceMakes, of the names that matter and of letters that
// may be taken for theirs.
func TestReadersAgreeOnWhatChanceMakes(t *testing.T) {
	chance := rand.New(rand.NewPCG(24, 7)) // the same bodies in every run
	const rounds = 1500
	accepted := 0
	for range rounds {
		if judgeReading(t, []byte(oddObject(chance, 3))) {
			accepted++
		}
	}
	t.Logf("of %d bodies %d were accepted", rounds, accepted)
	if accepted < rounds/10 || accepted > rounds*9/10 {
		t.Errorf("%d of %d bodies were accepted: the comparison proves too little", accepted, rounds)
	}
}

// oddObject makes an object, as text.
func oddObject(chance *rand.Rand, depth int) string {
	var members []string
	for range chance.IntN(4) {
		members = append(members, oddKey(chance)+":"+oddValue(chance, depth-1))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func oddValue(chance *rand.Rand, depth int) string {
	switch n := chance.IntN(14); {
	case n < 6 && depth > 0:
		return oddObject(chance, depth)
	case n < 7 && depth > 0:
		return "[" + oddObject(chance, depth) + "]"
	case n < 8:
		return `"evil.example:443"`
	case n < 9:
		return `"m.login.email.identity"`
	case n < 10:
		return []string{"NaN", "1e400", `"\ud800"`, "1.50", "12345678901234567890", "null", "-0", "true"}[chance.IntN(8)]
	}
	return fmt.Sprintf(`"%d"`, chance.IntN(3))
}

// lookalikes are letters that some reader takes for another one.
var lookalikes = strings.NewReplacer("s", "ſ", "k", "\u212a", "i", "ı", "a", "ａ", "e", "é", "fi", "ﬁ", "ss", "ß")

// oddKey is a name that matters, and every other time it is not quite that.
func oddKey(chance *rand.Rand) string {
	name := exactNames[chance.IntN(len(exactNames))]
	if chance.IntN(3) > 0 { // those that lead somewhere
		name = []string{"auth", "type", "threepid_creds", "threePidCreds", "sid", "id_server", "idServer", "client_secret"}[chance.IntN(8)]
	}
	i := chance.IntN(len(name))
	switch chance.IntN(20) {
	case 0:
		name = name[:i] + strings.ToUpper(name[i:i+1]) + name[i+1:]
	case 1:
		name = name[:i] + lookalikes.Replace(name[i:])
	case 2:
		name = name[:i] + fmt.Sprintf(`\u%04x`, name[i]) + name[i+1:]
	case 3:
		name = name[:i] + "\u200d" + name[i:]
	case 4:
		name = "x" + name
	}
	return `"` + name + `"`
}

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
				_, err := wire.ParseObject([]byte(body))
				me, ok := errors.AsType[*wire.MatrixError](err)
				if !ok || me.Status != http.StatusBadRequest || (me.Errcode != wire.CodeBadJSON && me.Errcode != wire.CodeNotJSON) {
					t.Errorf("%q: got %v, want it refused as bad JSON", body, err)
				}
			}
			// None of it depends on where a homeserver would look: as auth of
			// any endpoint, too.
			if _, err := wire.ParseEnvelope([]byte(`{"auth":{"x":` + raw + `},"devices":[]}`)); err == nil || errors.Is(err, wire.ErrNotObject) {
				t.Errorf("in auth: got %v, want it refused", err)
			}
		})
	}
}
