// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"testing"
)

// TestBodiesWithOneReadingAreTaken: what clients send, and what is no concern.
func TestBodiesWithOneReadingAreTaken(t *testing.T) {
	for _, body := range []string{
		`{}`, " {\r\n} ", `{"x":"\ud83d\ude00","y":"\\ud800","é":1,"e\\u":2}`, `{"x":12345678901234567890,"y":-0.0,"z":1e-400}`,
		`{"threepid_creds":1,"threepidCreds":1}`, `{"three_pid_creds":1,"threePidCreds":1}`, `{"client_secret":1,"clientSecret":1}`,
		`{"ü":{"Ü2":1},"org.example.Key":true,"m.login.dummy":{}}`, `{"identifier":{"type":"m.id.user","user":"alice"}}`,
	} {
		for name, parse := range map[string]func([]byte) (Object, error){"object": ParseObject, "envelope": ParseEnvelope, "answer": ParseAnswer} {
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
		_, err := ParseEnvelope([]byte(body))
		if got := err != nil; got != refused {
			t.Errorf("%q: got %v, want refused: %v", body, err, refused)
		}
		if errors.Is(err, ErrNotObject) {
			t.Errorf("%q: somebody could see an object in it", body)
		}
	}
	for _, body := range []string{"", "null", "[1]", "session=u&x=m.login.dummy", "\x89PNG", `"auth"`, "NaN"} {
		if _, err := ParseEnvelope([]byte(body)); !errors.Is(err, ErrNotObject) {
			t.Errorf("%q: got %v, want %v: nobody can see an object in it", body, err, ErrNotObject)
		}
	}
}

// TestAnswersMayHaveKeysOfEveryKind: what another server answers is read by us.
func TestAnswersMayHaveKeysOfEveryKind(t *testing.T) {
	if _, err := ParseAnswer([]byte(`{"User_ID":1,"x":{"A":1,"a":2},"y":"\ud800"}`)); err != nil {
		t.Errorf("got %v", err)
	}
	if _, err := ParseAnswer([]byte(`{"x":1e400}`)); err != nil {
		t.Errorf("got %v: the number is nothing to us", err)
	}
	if _, err := ParseObject([]byte(`{"x":1e400}`)); !errors.Is(err, errNumber) {
		t.Errorf("got %v, want %v", err, errNumber)
	}
	if _, err := ParseAnswer([]byte(`{"x":{"a":1,"a":2}}`)); !errors.Is(err, errDuplicate) {
		t.Errorf("got %v, want %v", err, errDuplicate)
	}
}

func BenchmarkReading(b *testing.B) {
	raw := []byte(`{"new_password":"correct horse","auth":{"type":"m.login.email.identity","session":"abcdefghijklmnopqrstuvwx",` +
		`"threepid_creds":{"sid":"0123456789abcdef","client_secret":"s"},"threepidCreds":{"sid":"0123456789abcdef","client_secret":"s"}}}`)
	for name, parse := range map[string]func([]byte) (Object, error){"object": ParseObject, "envelope": ParseEnvelope, "answer": ParseAnswer} {
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
