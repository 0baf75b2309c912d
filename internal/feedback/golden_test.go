// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"context"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// What a suppression with all of its fields is written as, and what it was sealed
// as once, under the name of alice's address.
const (
	goldenKey    = "31 x/h7zOQBRuVlNyOVfTxe_i8Q"
	goldenPlain  = "01a70165656d61696c0271616c696365406578616d706c652e6f72670366626f756e6365041b0000019ca9450a00051b0000019e78c162000665352e312e310781a3011b0000019ca9450a00024885de95d1583940f00365342e322e32"
	goldenSealed = "0769a7687732cab993893298c242d1fe63c3259c8266b37a7ac7ee6320496280e98f160ecf3f26580c3a4117c1c90aa5caca2ec4df93fa65d031e3e3a841ec02e6ebf49fc0cb8f974e2f872dcb9b4a0702245d67f89544d67e00bd8b1602b05e9f630d66258ee604f364a426679e4f7b3a0572c9df50daf04759"
)

// TestRecordsStayAsTheyAre: a suppression is found and read as it was written, and is
// written as it was.
func TestRecordsStayAsTheyAre(t *testing.T) {
	ctx, b := context.Background(), newBench(t, Policy{})
	if err := b.Add(ctx, verification.Email, alice, ReasonManual, start.Add(day)); err != nil {
		t.Fatal(err)
	}
	b.record(t, alice, Report{Kind: Bounce, Permanent: true, Code: "5.1.1", At: start, ID: "1"})
	b.record(t, alice, softBounce(start, "2"))
	want := b.read(t, alice)
	for key, sealed := range b.everything(t) {
		raw, err := b.keys.Open(key[3:], []byte(sealed))
		if err != nil || key != goldenKey || hex.EncodeToString(raw) != goldenPlain {
			t.Errorf("%s is written as %x, %v, want %s as %s", key, raw, err, goldenKey, goldenPlain)
		}
	}
	sealed, err := hex.DecodeString(goldenSealed)
	if err != nil {
		t.Fatal(err)
	}
	write(t, b, store.Partition(goldenKey[:2]), goldenKey[3:], string(sealed))
	if got := b.read(t, alice); !reflect.DeepEqual(got, want) || len(want.Strikes) != 1 || want.Until != start.Add(90*day).UnixMilli() {
		t.Errorf("it is read as %+v, want %+v", got, want)
	}
	b.clock.Advance(time.Hour)
	if got := b.reason(t, alice); got != ReasonBounce {
		t.Errorf("got %q", got)
	}
}
