// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// identityHandler provisions a handler beside an app of its own.
func identityHandler(t *testing.T, allow ...string) (*caddymodule.IdentityHandler, error) {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`{"admin":{"disabled":true},"apps":{"threepid":{"key_file":%q,"store":{"type":"badger","path":%q}}}}`, dir+"/keys", dir+"/store")
	var cfg *caddy.Config
	if err := caddy.StrictUnmarshalJSON([]byte(config), &cfg); err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := &caddymodule.IdentityHandler{Allow: allow}
	err = h.Provision(ctx)
	t.Cleanup(func() {
		if err := h.App().Cleanup(); err != nil {
			t.Error(err)
		}
	})
	return h, err
}

func TestIdentityAllow(t *testing.T) {
	t.Setenv("THREEPID_TEST_NETWORK", "203.0.113.0/24")
	defaults, err := identityHandler(t)
	if err != nil {
		t.Fatal(err)
	}
	narrow, err := identityHandler(t, "192.0.2.7", "2001:db8::/64", "::ffff:198.51.100.9", "{env.THREEPID_TEST_NETWORK}")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		peer              string
		byDefault, narrow bool
	}{
		{"127.0.0.1:1", true, false},
		{"[::1]:1", true, false},
		{"10.1.2.3:1", true, false},
		{"192.0.2.7:1", false, true},
		{"192.0.2.8:1", false, false},
		{"198.51.100.9:1", false, true},
		{"203.0.113.77:1", false, true},
		{"[2001:db8::5]:1", false, true},
		{"[2001:db8:0:1::5]:1", false, false},
		{"8.8.8.8:1", false, false},
	}
	for _, test := range tests {
		for name, c := range map[string]struct {
			h    *caddymodule.IdentityHandler
			want bool
		}{"by default": {defaults, test.byDefault}, "narrow": {narrow, test.narrow}} {
			r := httptest.NewRequest(http.MethodPost, "/_matrix/identity/api/v1/3pid/unbind", strings.NewReader("{}"))
			r.RemoteAddr = test.peer
			// No header makes a stranger a friend.
			r.Header.Set("X-Forwarded-For", "127.0.0.1, 192.0.2.7")
			r.Header.Set("X-Real-Ip", "192.0.2.7")
			rec := httptest.NewRecorder()
			next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
				t.Errorf("%s, %s: the next handler was called", test.peer, name)
				return nil
			})
			if err := c.h.ServeHTTP(rec, r, next); err != nil {
				t.Fatal(err)
			}
			want := http.StatusNotFound
			if c.want {
				want = http.StatusOK
			}
			if rec.Code != want {
				t.Errorf("%s, %s: got %d, want %d", test.peer, name, rec.Code, want)
			}
		}
	}
}

func TestIdentityAllowRefuses(t *testing.T) {
	for _, bad := range []string{"localhost", "10.0.0.0/33", "10.0.0/8", "", "fe80::1%eth0", "{env.THREEPID_TEST_MISSING}"} {
		if _, err := identityHandler(t, bad); err == nil || !strings.Contains(err.Error(), "allow") {
			t.Errorf("%q: got error %v, want one on allow", bad, err)
		}
	}
	if got, err := caddymodule.ParseNetwork("10.1.2.3/8"); err != nil || got != netip.MustParsePrefix("10.0.0.0/8") {
		t.Errorf("got %v (%v), want the network that the address is in", got, err)
	}
}

// TestIdentitySiteIsNotPublic: the two faces do not serve each other's paths.
func TestIdentitySiteIsNotPublic(t *testing.T) {
	hs, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	s.awaitIdentity()
	face := &http.Client{Transport: lazyRoots{t}}
	for path, want := range map[string]int{
		"/_matrix/identity/api/v1/3pid/getValidated3pid?sid=x&client_secret=y":  http.StatusOK,
		"/_matrix/identity/api/v1/3pid/getValidated3pid/?sid=x&client_secret=y": http.StatusNotFound,
		"/_matrix/identity/api/v1//3pid/getValidated3pid?sid=x&client_secret=y": http.StatusNotFound,
		"/_matrix/identity/api/v1/lookup?medium=email&address=a@example.test":   http.StatusNotFound,
		"/_matrix/client/versions":                            http.StatusNotFound,
		"/_threepid/validate/email/submitToken?sid=x&token=y": http.StatusNotFound,
		"/": http.StatusNotFound,
	} {
		resp, err := face.Get("https://" + s.identityName() + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("homeserver-facing %s: got %d, want %d", path, resp.StatusCode, want)
		}
	}
	a, err := stack.NewClient(s.url()).Do(t.Context(), "GET", "/_matrix/identity/api/v1/3pid/getValidated3pid?sid=x&client_secret=y", "", nil)
	if err != nil || a.Status != http.StatusNotFound || len(hs.Requests()) != 1 {
		t.Errorf("got %d (%v) on the public site, want the homeserver's 404", a.Status, err)
	}
}
