// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestRecordsStayAsTheyAre: each kind is read as it was written, under its key of
// today, and is written as it was.
func TestRecordsStayAsTheyAre(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		kind          *sealed.Kind
		name          string
		rec           record
		plain, sealed string
	}{
		{
			kindNumber, numberNames(f.keys, "447400123456")[0],
			&numberRecord{Sends: []send{{At: 1_700_000_000_000_000_000, ID: 1 << 63, Client: "client"}}},
			"01a10181a3011b17979cfe362a0000021b80000000000000000366636c69656e74",
			"6b68147235613cd98b88c57ef5de4aad673aae30bebbee9d8f85a1e7eae460e4737c05ed56e34e619421d7c93ceb42ce59d29a8e8bf6253deeb6b86676d0",
		},
		{
			kindClient, f.keys.HashText("shield client", "192.0.2.1"),
			&clientRecord{Uses: []use{{Number: "number", Region: "GB", Last: 2}}},
			"01a10181a301666e756d626572026247420302",
			"6bd2283fb7ddf1bfec575628839e44faf8f98861528e9d5373fca3f5e8104d85d9da7a779d989e03433dc6d0c1d80b77",
		},
		{
			kindPrefix, f.keys.HashText("shield prefix", "4474001"),
			&prefixRecord{Digits: "4474001", Region: "GB", answers: answers{Buckets: []bucket{{1, 2, 3}}, Since: 4, Until: 5, Size: 6}},
			"01a6016734343734303031026247420381a3010102020303040405050606",
			"6bde041ad791b386b20a57dbcff483336be65217588494bb63f8ca92fb39a46aca462fdd712f004dae134d5d720322fcb0662866597851c1973f62",
		},
		{
			kindNumber, numberNames(f.keys, "447400123457")[0],
			&numberRecord{Sends: []send{{At: 1, ID: 2, Network: "network", Class: ratelimit.Newcomer, Back: true}}},
			"01a10181a50101020204676e6574776f726b050206f5", "6b5a4ae28a7026ddc8ae1d3175c2f6377cf88e45f202d4d2aee506fb0d2719ed35b9bad85c6d85153091b90dc55c07a9da3046",
		},
		{
			kindNetwork, f.keys.HashText("shield network", "192.0.2.0/24"),
			&networkRecord{
				answers: answers{Buckets: []bucket{{1, 2, 3}}, Since: 4, Until: 5, Size: 6},
				Spent:   counter{Hour: []bucket{{1, 2, 3}}, Day: []bucket{{Index: -4}}},
			},
			"01a50381a301010202030304040505060607a301600381a30101020203030481a10123", "6b17e7be3beab0798f55c75313a71fc4186a8b23c783d674e1276fecaa80772092fa23d39d89e4487f448a98c77b7041070c387b28a2f20b16c757eb4902d0d4",
		},
		{
			kindCounter, f.keys.HashText("shield counter", "country", "GB"),
			&counter{Kind: ofCountry, Of: "GB", Hour: []bucket{{1, 2, 3}}, Day: []bucket{{Index: -4}}},
			"01a40167636f756e747279026247420381a30101020203030481a10123",
			"6b9e0b8b05e5cad64a02f41e39103ee2a2a8f456f4d306e71e42be6a23dc4bb944bae1704f8c091771cdea1455a55b645620957b13b23449e0ae",
		},
	} {
		key := tt.kind.Key(tt.name)
		written := f.opened(key, f.sealedAs(entry{tt.kind, []string{tt.name}, "", tt.rec}))
		if hex.EncodeToString(written) != tt.plain {
			t.Errorf("%s is written as %x, want %s", key, written, tt.plain)
		}
		value, err := hex.DecodeString(tt.sealed)
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(reflect.TypeOf(tt.rec).Elem()).Interface().(record)
		if err := f.codec.open(tt.kind, key, value, got); err != nil || !reflect.DeepEqual(got, tt.rec) {
			t.Errorf("%s is read as %+v, %v, want %+v", key, got, err, tt.rec)
		}
	}
}

// sealedAs is what is stored of an entry.
func (f *fixture) sealedAs(e entry) string {
	f.Helper()
	var at storetest.Slot
	if err := f.codec.save(&at, e); err != nil {
		f.Fatalf("save: %v", err)
	}
	return string(at.Value)
}
