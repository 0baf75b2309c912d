// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// golden is a record and its kind.
type golden struct {
	kind *sealed.Kind
	rec  any
}

// goldenRecords has one record of each kind, with all of its fields.
func goldenRecords(s *Service) map[string]golden {
	fill := func(b byte) (h hash) {
		for i := range h {
			h[i] = b
		}
		return h
	}
	const sid = "00abcdefghijklmnopqrstuvTAGTAGTA"
	zero := int64(0)
	origin := provenance.Origin{Program: "Element", System: "Linux", Network: "192.0.2.x"}
	held := openingRequest{
		Purpose: threepid.Register, Medium: threepid.Email, Address: "a@x.example", Index: "index", Secret: fill(1), SendAttempt: 2,
		NextLink: "https://n.example", Language: "de", Proof: ProofCode, Brand: "brand", RepeatOnly: true, Held: true, Decoy: true,
		Discreet: true, Asked: 3, Origin: origin, Early: true, Typed: "A@x.example",
	}
	binding := Binding{
		User: "@u:x.example", Medium: threepid.Email, Address: "a@x.example", IDServer: "id.example", SID: "s", ClientSecret: "c",
		Bound: time.Unix(1_700_000_000, 500_000_000), Validated: "A@x.example",
	}
	on := s.bindingPrefixes(binding.User)[0]
	name := func(names []string) string { return names[0] }
	return map[string]golden{
		sessionKey(sid): {kindSession, &Session{
			SID: sid, Purpose: threepid.Password, Medium: threepid.Email, Address: "a@x.example", Proof: ProofCode, State: Validated, Secret: fill(1),
			SendAttempt: 2, Sends: 3, Tokens: []Token{{Hash: fill(2), Expires: 4}}, Tries: 1, Until: 5, ValidatedAt: 6,
			NextLink: "https://n.example", Language: "de", Claim: &Claim{ID: fill(3), Until: 7, Answered: true}, ConsumedIn: fill(4),
			Brand: "brand", Created: 8, Refused: 9, Decoy: true, HeldAttempt: &zero, Lapsed: []Token{{Hash: fill(5), Expires: 10}},
			Origin: origin, Asked: 11, Typed: "A@x.example",
		}},
		nonceKey(s, "nonce"):                                    {kindNonce, &nonceRecord{Request: held, SID: "s", Sent: true, Failure: &failure{Wait: 1, Busy: true}, Decoy: true}},
		aliasKey(s, "alias"):                                    {kindAlias, &aliasRecord{SID: "s", Secret: fill(1), Claim: fill(2), Spelling: "A@x.example"}},
		"h/" + s.keys.HashText(foreignLabel, "sid"):             {kindForeign, &foreignRecord{Nonce: "n", Secret: fill(1), Purpose: threepid.Add, Medium: threepid.Email, Address: "a@x.example"}},
		s.bindingKey(on, binding):                               {kindBinding, &binding},
		replyKey(sid):                                           {kindReply, &Reply{Text: "550 no \xff", At: 3}},
		"g/" + name(s.progressNames("uia", threepid.Email)):     {kindProgress, &progressRecord{Ready: true, Held: &held, Paid: 4}},
		"t/" + s.keys.HashText("registration tie", "192.0.2.1"): {kindRegistration, &registrationRecord{UIA: "uia", At: 5}},
		"e/" + name(s.explainedNames(threepid.Add, mailboxID{Medium: threepid.Email, Address: "a@x.example"})):    {kindExplained, &explained{Message: "m", Sent: true}},
		"q/" + name(s.openNames(threepid.Add, threepid.ThreePID{Medium: threepid.Email, Address: "a@x.example"})): {kindOpen, &openRequests{SIDs: []threepid.SID{sid}}},
		"w/" + name(s.languageNames(threepid.ThreePID{Medium: threepid.Email, Address: "a@x.example"})):           {kindLanguage, &spoken{Language: "de"}},
		"m/" + name(s.mailboxNames(mailboxID{Medium: threepid.Email, Address: "a@x.example"})): {kindLetters, &ratelimit.Letters{
			List: []ratelimit.Letter{{At: 1, By: 2, As: ratelimit.Spared}}, Closed: []ratelimit.Closed{{By: 3, Until: 4}},
		}},
		"k/" + name(s.addressNames(threepid.ThreePID{Medium: threepid.Email, Address: "a@x.example"})): {kindPlaces, &ratelimit.Places{Networks: []uint64{1, 2}}},
	}
}

// TestRecordsStayAsTheyAre: each kind is read as it was written, under its key of
// today, and is written as it was.
func TestRecordsStayAsTheyAre(t *testing.T) {
	s := newFixture(t).Service
	lines, err := os.ReadFile("testdata/records.txt")
	if err != nil {
		t.Fatal(err)
	}
	records := goldenRecords(s)
	for line := range strings.Lines(string(lines)) {
		var key, plain, sealed string
		if _, err := fmt.Sscan(line, &key, &plain, &sealed); err != nil {
			t.Fatal(err)
		}
		want, known := records[key]
		delete(records, key)
		if !known {
			t.Errorf("nothing has the key %q any more", key)
			continue
		}
		written, err := encode(want.rec)
		if err != nil || hex.EncodeToString(written) != plain {
			t.Errorf("%s is written as %x, %v, want %s", key, written, err, plain)
		}
		raw, err := hex.DecodeString(sealed)
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(reflect.TypeOf(want.rec).Elem()).Interface()
		if err := want.kind.Open(s.keys, key, raw, got); err != nil || !reflect.DeepEqual(got, want.rec) {
			t.Errorf("%s is read as %+v, %v, want %+v", key, got, err, want.rec)
		}
	}
	if len(records) > 0 {
		t.Errorf("there are no bytes of %v", records)
	}
}
