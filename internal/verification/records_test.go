// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// recordTypes makes an empty record of each kind.
var recordTypes = map[string]func() any{
	"session":   func() any { return new(Session) },
	"nonce":     func() any { return new(nonceRecord) },
	"alias":     func() any { return new(aliasRecord) },
	"foreign":   func() any { return new(foreignRecord) },
	"explained": func() any { return new(explained) },
}

// recordVersion is the first byte of every record.
const recordVersion = 1

var slotKeys, _ = keyring.New(keyring.Key{Secret: make([]byte, keyring.SecretSize)})

// encode is what is sealed of a record; its kind does not matter.
func encode(rec any) ([]byte, error) {
	var at storetest.Slot
	if err := kindSession.Put(&at, slotKeys, kindSession.Key(""), rec, time.Time{}); err != nil {
		return nil, err
	}
	return slotKeys.Open(kindSession.Key(""), at.Value)
}

// decode reads what encode returns.
func decode(raw []byte, into any) error {
	return kindSession.Open(slotKeys, kindSession.Key(""), slotKeys.Seal(kindSession.Key(""), raw), into)
}

func drawHash(t *rapid.T, what string) (h hash) {
	copy(h[:], rapid.SliceOfN(rapid.Byte(), len(h), len(h)).Draw(t, what))
	return h
}

// drawSession fills every field, or leaves it out.
func drawSession(t *rapid.T) *Session {
	text, num := rapid.String(), rapid.Int64()
	s := &Session{
		SID: text.Draw(t, "sid"), Purpose: Purpose(text.Draw(t, "purpose")), Medium: Medium(text.Draw(t, "medium")),
		Address: text.Draw(t, "address"), Proof: Proof(rapid.Byte().Draw(t, "proof")), State: State(rapid.Byte().Draw(t, "state")),
		Secret: drawHash(t, "secret"), SendAttempt: num.Draw(t, "attempt"), Sends: rapid.Int().Draw(t, "sends"),
		Tries: rapid.Int().Draw(t, "tries"), Until: num.Draw(t, "until"), ValidatedAt: num.Draw(t, "validated"),
		NextLink: text.Draw(t, "link"), Language: text.Draw(t, "language"),
		Brand: text.Draw(t, "brand"), Created: num.Draw(t, "created"), Refused: num.Draw(t, "refused"),
		Decoy: rapid.Bool().Draw(t, "decoy"),
	}
	if rapid.Bool().Draw(t, "consumed") {
		s.ConsumedIn = drawHash(t, "consumed in")
	}
	for range rapid.IntRange(0, maxTokens).Draw(t, "tokens") {
		s.Tokens = append(s.Tokens, Token{Hash: drawHash(t, "token"), Expires: num.Draw(t, "expires")})
	}
	if rapid.Bool().Draw(t, "claimed") {
		s.Claim = &Claim{ID: drawHash(t, "claim"), Until: num.Draw(t, "claim until"), Answered: rapid.Bool().Draw(t, "answered")}
	}
	return s
}

// TestRecordsRoundTrip: decode(encode(x)) is x, for every kind of record.
func TestRecordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		session := drawSession(t)
		request := openingRequest{
			Purpose: session.Purpose, Medium: session.Medium, Address: session.Address, Index: text.Draw(t, "index"),
			Secret: session.Secret, SendAttempt: session.SendAttempt, NextLink: session.NextLink, Language: session.Language, Proof: session.Proof,
			Brand: session.Brand,
		}
		for name, rec := range map[string]any{
			"session":   session,
			"nonce":     &nonceRecord{Request: request, SID: text.Draw(t, "nonce's sid"), Sent: rapid.Bool().Draw(t, "sent")},
			"alias":     &aliasRecord{SID: session.SID, Secret: session.Secret, Claim: session.ConsumedIn},
			"foreign":   &foreignRecord{Nonce: text.Draw(t, "nonce"), Secret: session.Secret, Purpose: session.Purpose},
			"explained": &explained{Message: text.Draw(t, "message"), Sent: rapid.Bool().Draw(t, "sent")},
		} {
			raw, err := encode(rec)
			if err != nil {
				t.Fatalf("encode %s: %v", name, err)
			}
			got := recordTypes[name]()
			if err := decode(raw, got); err != nil || !reflect.DeepEqual(got, rec) {
				t.Fatalf("%s: decode(encode(x)) = %+v, %v, want %+v", name, got, err, rec)
			}
			if err := decode(append(raw, 0), recordTypes[name]()); !errors.Is(err, sealed.ErrForm) {
				t.Fatalf("%s with a byte behind: %v, want sealed.ErrForm", name, err)
			}
			if err := decode(raw[:len(raw)-1], recordTypes[name]()); !errors.Is(err, sealed.ErrForm) {
				t.Fatalf("%s cut short: %v, want sealed.ErrForm", name, err)
			}
		}
	})
}

// TestDecodeIsStrict: what the encoder never writes is refused.
func TestDecodeIsStrict(t *testing.T) {
	tests := []struct {
		name string
		raw  []byte
	}{
		{"nothing", nil},
		{"version only", []byte{recordVersion}},
		{"version 0", []byte{0, 0xa0}},
		{"next version", []byte{recordVersion + 1, 0xa0}},
		{"unknown field", []byte{recordVersion, 0xa1, 0x18, 99, 0x01}},
		{"the same field twice", []byte{recordVersion, 0xa2, 0x01, 0x61, 'a', 0x01, 0x61, 'b'}},
		{"indefinite length", []byte{recordVersion, 0xbf, 0xff}},
		{"wrong type", []byte{recordVersion, 0xa1, 0x01, 0x01}},
		{"text", []byte{recordVersion, 0x61, 'a'}},
		{"two values", []byte{recordVersion, 0xa0, 0xa0}},
	}
	for _, tt := range tests {
		for name, empty := range recordTypes {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				raw := tt.raw
				if name == "nonce" && tt.name == "the same field twice" {
					raw = []byte{recordVersion, 0xa2, 0x02, 0x61, 'a', 0x02, 0x61, 'b'}
				}
				if err := decode(raw, empty()); !errors.Is(err, sealed.ErrForm) {
					t.Errorf("decode(%x) = %v, want sealed.ErrForm", raw, err)
				}
			})
		}
	}
}

// TestRecordForm holds the form of a stored session: those of today must be
// readable by the next version.
func TestRecordForm(t *testing.T) {
	raw, err := encode(&Session{
		SID: "00x", Purpose: Register, Medium: Email, Address: "a@x", State: Pending, SendAttempt: 1, Sends: 1,
		Tokens: []Token{{Expires: 2}}, Until: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	zero := bytes.Repeat([]byte{0}, len(hash{}))
	want := []byte("\x01\xaa\x01\x6300x\x02\x68register\x03\x65email\x04\x63a@x\x06\x01\x07\x50" + string(zero) +
		"\x08\x01\x09\x01\x0a\x81\x82\x50" + string(zero) + "\x02\x0c\x03")
	if !bytes.Equal(raw, want) {
		t.Errorf("a session is written as\n%x, want\n%x", raw, want)
	}
}

// TestWhatCannotBeWrittenIsAnError, of which the store sees nothing.
func TestWhatCannotBeWrittenIsAnError(t *testing.T) {
	if raw, err := encode(make(chan int)); err == nil || raw != nil {
		t.Errorf("got %x, %v, want an error", raw, err)
	}
	f := newFixture(t)
	err := f.store.Update(bg, "00", func(txn store.Txn) error { return kindSession.Put(txn, f.keys, "s/x", make(chan int), time.Time{}) })
	if err == nil || len(dump(t, f.store)) != 0 {
		t.Errorf("got %v, want an error, and nothing stored", err)
	}
}

// TestProofsStayWhatTheyAre: what is asked for today must be proven to the next version.
func TestProofsStayWhatTheyAre(t *testing.T) {
	f := newFixture(t)
	if got, want := f.ProbeAnswer("nonce"), "HvtbQtaEbXrwxalpdFw4mA"; got != want {
		t.Errorf("the answer to a nonce is %q, want %q", got, want)
	}
}

// TestOldRecordsAreRead: bytes that the version before brands and refusals has
// written mean what they meant, and are written again as they were.
func TestOldRecordsAreRead(t *testing.T) {
	fill := func(b byte) (h hash) { return hash(bytes.Repeat([]byte{b}, len(h))) }
	tests := []struct {
		name, written string
		got, want     any
	}{
		{
			"session", "01b101782030306162636465666768696a6b6c6d6e6f707172737475765441475441475441026870617373776f72640365656d61" +
				"696c046b6140782e6578616d706c6505010602075001010101010101010101010101010101080209030a81825002020202020202" +
				"020202020202020202040b010c050d060e6968747470733a2f2f6e0f6264651083500303030303030303030303030303030307f5" +
				"115004040404040404040404040404040404",
			new(Session), &Session{
				SID: "00abcdefghijklmnopqrstuvTAGTAGTA", Purpose: Password, Medium: Email, Address: "a@x.example", Proof: ProofCode,
				State: Validated, Secret: fill(1), SendAttempt: 2, Sends: 3, Tokens: []Token{{Hash: fill(2), Expires: 4}}, Tries: 1, Until: 5,
				ValidatedAt: 6, NextLink: "https://n", Language: "de", Claim: &Claim{ID: fill(3), Until: 7, Answered: true}, ConsumedIn: fill(4),
			},
		},
		{
			"nonce", "01a301a901636164640265656d61696c036b6140782e6578616d706c650463696478055001010101010101010101010101010101" +
				"0602076968747470733a2f2f6e08626465090102617303f5",
			new(nonceRecord), &nonceRecord{Request: openingRequest{
				Purpose: Add, Medium: Email, Address: "a@x.example", Index: "idx", Secret: fill(1), SendAttempt: 2,
				NextLink: "https://n", Language: "de", Proof: ProofCode,
			}, SID: "s", Sent: true},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			written, err := hex.DecodeString(tt.written)
			if err != nil {
				t.Fatal(err)
			}
			if err := decode(written, tt.got); err != nil || !reflect.DeepEqual(tt.got, tt.want) {
				t.Errorf("decode = %v, %+v, want %+v", err, tt.got, tt.want)
			}
			if again, err := encode(tt.got); err != nil || !bytes.Equal(again, written) {
				t.Errorf("it is written again as %x, %v", again, err)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, rec := range []any{
		&Session{SID: "00x", Tokens: []Token{{Expires: 1}}, Claim: &Claim{Answered: true}, ConsumedIn: hash{1}, NextLink: "\xff"},
		&nonceRecord{Request: openingRequest{Address: "a@x"}, SID: "y", Sent: true},
		&aliasRecord{SID: "z"}, &foreignRecord{Nonce: "n"},
	} {
		raw, err := encode(rec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{})
	f.Add([]byte{recordVersion, 0xa1, 0x0a, 0x81, 0x80})       // a token without fields
	f.Add([]byte{recordVersion, 0xa1, 0x10, 0x81, 0x40})       // a claim with one
	f.Add([]byte{recordVersion, 0x9b, 0, 0, 0, 0, 0xff, 0, 0}) // a huge array
	f.Fuzz(func(t *testing.T, raw []byte) {
		for name, empty := range recordTypes {
			first := empty()
			if err := decode(raw, first); err != nil {
				if !errors.Is(err, sealed.ErrForm) {
					t.Errorf("%s: decode(%x) = %v, want sealed.ErrForm", name, raw, err)
				}
				continue
			}
			again, err := encode(first)
			if err != nil {
				t.Fatalf("%s: encode of what was decoded: %v", name, err)
			}
			second := empty()
			if err := decode(again, second); err != nil || !reflect.DeepEqual(first, second) {
				t.Errorf("%s: %+v decodes as %+v, %v, after encoding", name, first, second, err)
			}
		}
	})
}
