// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
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
	_, err := parseObject(raw)
	if err == nil {
		mustBeReadAlike(t, raw)
	}
	mustForwardWhatWasRead(t, raw)
	if o, err := parseEnvelope(raw); err == nil {
		mustBeFoundAlike(t, []byte(`{"auth":`+string(member(o["auth"]))+`}`))
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
