// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"errors"
	"testing"

	"github.com/xdg-go/scram"
	"pgregory.net/rapid"
)

// The examples of RFC 7628 §4.1, and of Google's and Microsoft's pages on
// XOAUTH2; in the first, "=" and "," of a name are written as RFC 5801 §4 has it.
func TestBearerClientsSayWhatIsSpecified(t *testing.T) {
	tests := []struct {
		method   AuthMethod
		username string
		want     string
		answer   string // to the relay's explanation of its refusal
	}{
		{AuthOAuthBearer, "user@example.com", "n,a=user@example.com,\x01host=server.example.com\x01port=587\x01auth=Bearer vF9dft4qmT\x01\x01", "\x01"},
		{AuthOAuthBearer, "a=b,c", "n,a=a=3Db=2Cc,\x01host=server.example.com\x01port=587\x01auth=Bearer vF9dft4qmT\x01\x01", "\x01"},
		{AuthXOAUTH2, "a=b,c", "user=a=b,c\x01auth=Bearer vF9dft4qmT\x01\x01", ""},
	}
	for _, test := range tests {
		c := &bearerClient{method: test.method, username: test.username, token: "vF9dft4qmT", address: "server.example.com:587"}
		mechanism, got, err := c.Start()
		if mechanism != test.method.mechanism() || string(got) != test.want || err != nil {
			t.Errorf("got %s %q, %v, want %q", mechanism, got, err, test.want)
		}
		answer, err := c.Next([]byte(`{"status":"invalid_token"}`))
		if answer == nil || string(answer) != test.answer || err != nil { // nil would end the dialogue
			t.Errorf("%s: got %q, %v, want %q", test.method, answer, err, test.answer)
		}
		if answer, err := c.Next(nil); !errors.Is(err, errLoginBroken) {
			t.Errorf("%s: got %q, %v to a second explanation, want %v", test.method, answer, err, errLoginBroken)
		}
	}
}

func TestTokensAreOfTheLettersOfTokens(t *testing.T) {
	for _, good := range []string{"a", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "ya29.A_b-c~d+e/f"} {
		if !validToken(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"", " ", "a b", "a\n", "a\x01b", "ü", "a,b", `"a"`} {
		if validToken(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
}

// The example of RFC 7677 §3.
func TestSCRAMSaysWhatIsSpecified(t *testing.T) {
	const (
		first     = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
		challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
		final     = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
		signature = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	)
	client, err := scram.SHA256.NewClient("user", "pencil", "")
	if err != nil {
		t.Fatal(err)
	}
	client = client.WithNonceGenerator(func() string { return "rOprNGfwEbeRWgbNEkqO" })
	for name, test := range map[string]struct {
		challenge, signature string
		want                 error
	}{
		"as it is":           {challenge, signature, nil},
		"another signature":  {challenge, "v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", errUnproven},
		"no signature":       {challenge, "", errUnproven},
		"work at the end":    {challenge, "i=9999999", errUnproven},
		"refused":            {challenge, "e=invalid-proof", errAuthRefused},
		"another nonce":      {"r=xOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "", errLoginBroken},
		"no work":            {"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1", "", errLoginBroken},
		"too much work":      {"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1048577", "", errTooMuchWork},
		"work without end":   {"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999999999999", "", errTooMuchWork},
		"nothing that it is": {"hello", "", errLoginBroken},
	} {
		c, err := newSCRAM(client, AuthSCRAM, nil)
		if err != nil {
			t.Fatal(err)
		}
		mechanism, got, err := c.Start()
		if mechanism != "SCRAM-SHA-256" || string(got) != first || err != nil {
			t.Fatalf("got %s %q, %v, want %q", mechanism, got, err, first)
		}
		got, err = c.Next([]byte(test.challenge))
		if test.challenge == challenge {
			if string(got) != final || err != nil {
				t.Fatalf("%s: got %q, %v, want %q", name, got, err, final)
			}
			got, err = c.Next([]byte(test.signature))
		}
		if !errors.Is(err, test.want) || c.conversation.Valid() != (test.want == nil) || err == nil && got == nil {
			t.Errorf("%s: got %q, %v, valid %t, want %v", name, got, err, c.conversation.Valid(), test.want)
		}
	}
}

// Nothing that a relay says makes the client panic, or believe it.
func TestSCRAMBelievesNobody(t *testing.T) {
	client, err := scram.SHA256.NewClient("user", "pencil", "")
	if err != nil {
		t.Fatal(err)
	}
	piece := rapid.SampledFrom([]string{"r=", "s=", "i=", "v=", "e=", ",", "=", "4096", "AAAA", "m=x", "\x00", "é", "-1", "0"})
	rapid.Check(t, func(t *rapid.T) {
		c, err := newSCRAM(client, AuthSCRAM, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, first, err := c.Start()
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			challenge := ""
			for _, p := range rapid.SliceOfN(piece, 0, 8).Draw(t, "challenge") {
				challenge += p
			}
			if rapid.Bool().Draw(t, "with the nonce") {
				challenge = "r=" + string(first[len("n,,n=user,r="):]) + "x,s=AAAA,i=4096" + challenge
			}
			if _, err := c.Next([]byte(challenge)); err != nil {
				break
			}
		}
		if c.conversation.Valid() {
			t.Fatal("the relay was believed")
		}
	})
}
