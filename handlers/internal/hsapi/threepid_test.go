// SPDX-License-Identifier: Apache-2.0

package hsapi

import (
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// TestRegions_ANumberIsDialledFrom: that of its own country, or any.
func TestRegions_ANumberIsDialledFrom(t *testing.T) {
	for number, want := range map[string]string{"447400123456": "GB", "33612345678": "FR", "80012345678": AnyRegion, "x": AnyRegion} {
		if got := regionOf(number); got != want {
			t.Errorf("%s is dialled from %s, want %s", number, got, want)
		}
	}
}

// TestF31_TheProbeNamesAServerThatNeverIs (RFC 2606): a homeserver that trusts everybody
// would have any other send a mail.
func TestF31_TheProbeNamesAServerThatNeverIs(t *testing.T) {
	raw := probeBody(threepid.ThreePID{Medium: threepid.Email, Address: "bob@x.org"})
	if body, err := wire.ParseObject(raw); err != nil || !strings.HasSuffix(string(body["id_server"]), `.invalid"`) {
		t.Errorf("got %s, want a name below .invalid", raw)
	}
}
