// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// What a message with all of its fields is written as, and what it was sealed as
// once, under the key "o/k".
const (
	goldenPlain  = "01a701b001782230306162636465666768696a6b6c6d6e6f7071727374757654414754414754412e3202782030306162636465666768696a6b6c6d6e6f707172737475765441475441475441036870617373776f72640465656d61696c056b6140782e6578616d706c6506010766313233343536086264ff09fb41d954fc402000000afb41d954ffc40000000b656272616e640c677265667573616c0d030ef50fa30167456c656d656e7402654c696e757803693139322e302e322e781065616464656402040305046178050606f507f5"
	goldenSealed = "01556ab91ddf0b805eb170b2c271aad95167eb8d62c962497e06b7e39a2315262597322a49b24b3039ccd5ae3f33ad5944f541bc6aa460871245baf35dc35999fcab30372ade962ecd0df85fe2ffc49fe2864b0ed1cf1ddc29fc7daba9dc5cf0ec1c08cef781b52d824ae1457e55475b6a3adfaa368a77acb04f3428d1e889e0c65a0d915ed271900c6ca28e546727ca3a249c59da9842d7b76d9b3d53d221199e2412bad26df18a9d96a021a3babe9a26356a89f3d4ba5e2aac850b1edd802709cb740cfa5265e3c45aa6abd6ebf689f4fe4a6619b91ac016c3e7123ed5333a944acf457bc8fee59853d9ca6b51"
)

// TestRecordsStayAsTheyAre: a message is read as it was written, and is written as
// it was.
func TestRecordsStayAsTheyAre(t *testing.T) {
	sid := "00abcdefghijklmnopqrstuvTAGTAGTA"
	want := &record{
		Message: verification.Message{
			ID: sid + ".2", SID: threepid.SID(sid), Purpose: threepid.Password, Medium: threepid.Email, Address: "a@x.example",
			Proof: verification.ProofCode, Token: "123456", Language: "d\xff", Created: time.Unix(1_700_000_000, 500_000_000),
			Expires: time.Unix(1_700_003_600, 0), Brand: "brand", Refusal: "refusal", Attempt: 3, Decoy: true,
			Origin: provenance.Origin{Program: "Element", System: "Linux", Network: "192.0.2.x"}, Notice: verification.NoticeAdded,
		},
		Tries: 4, NotBefore: 5, Lease: "x", LeaseUntil: 6, Uncertain: true, Again: true,
	}
	c := codec{testKeys(t, 1)}
	if written := hex.EncodeToString(c.plain(t, want)); written != goldenPlain {
		t.Errorf("it is written as %s, want %s", written, goldenPlain)
	}
	sealed, err := hex.DecodeString(goldenSealed)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.open("o/k", sealed); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it is read as %+v, %v, want %+v", got, err, want)
	}
}
