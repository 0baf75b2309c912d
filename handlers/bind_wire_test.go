// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakeis"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
)

// wired is a rig whose way to identity servers is the real one, with a server
// at its end where Alice has a session.
func wired(t *testing.T, change func(*outbound.Options)) (r *rig, is *fakeis.Server, token string) {
	t.Helper()
	is, err := fakeis.Start(fakeis.Options{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(is.Close)
	is.AddToken("abc123_OpaqueString", alice)
	is.AddSession(fakeis.Session{SID: "1", ClientSecret: "s", Medium: "email", Address: "alice@lookup.org"})
	name, err := outbound.ParseName(is.Name())
	if err != nil {
		t.Fatal(err)
	}
	opts := outbound.Options{RootCAs: is.Pool(), Allow: []outbound.Name{name}}
	if change != nil {
		change(&opts)
	}
	r = newRig(t, options{})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	r.client.bindings.Servers = identityserver.New(identityserver.Options{Outbound: opts})
	return r, is, r.login("alice", "secret")
}

// TestBindServerThatMisbehaves: whatever answers, the client is told in time,
// and nothing is recorded.
func TestBindServerThatMisbehaves(t *testing.T) {
	for name, inject := range map[string]func(*fakeis.Server){
		"hangs":    func(s *fakeis.Server) { s.HangNext(1) },
		"page":     func(s *fakeis.Server) { s.HTMLNext(1, http.StatusOK) },
		"redirect": func(s *fakeis.Server) { s.RedirectNext(1, http.StatusTemporaryRedirect) },
		"10 MB":    func(s *fakeis.Server) { s.OversizeNext(1, 10<<20) },
		"dead":     func(s *fakeis.Server) { s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r, is, token := wired(t, func(o *outbound.Options) {
				if name == "hangs" {
					o.Timeout = 100 * time.Millisecond
				}
			})
			inject(is)
			rec := r.as(token, "POST", bindPath, bindBody(is.Name(), "1", "s"))
			wantError(t, rec, http.StatusBadGateway, "M_UNKNOWN")
			wantCORS(t, rec)
			r.wantBindings(t, 0)
			if is.Redirected() != 0 || is.Lookup("email", "alice@lookup.org") != "" {
				t.Error("the redirect was followed, or the address bound")
			}
			if n := len(r.events.changes); n != 1 || r.events.changes[0].Err == nil {
				t.Errorf("got changes %+v, want one failure", r.events.changes)
			}
		})
	}
}

func TestBindOverTheWire(t *testing.T) {
	r, is, token := wired(t, nil)
	wantStatus(t, r.as(token, "POST", bindPath, bindBody(is.Name(), "1", "s")), http.StatusOK)
	if got := is.Lookup("email", "alice@lookup.org"); got != alice {
		t.Errorf("the address is bound to %q, want %q", got, alice)
	}
	r.wantBindings(t, 1)
	body := `{"medium":"email","address":"alice@lookup.org"}`
	if rec := r.as(token, "POST", unbindPath, body); decoded(t, rec)["id_server_unbind_result"] != "success" {
		t.Errorf("got %d %s, want success", rec.Code, rec.Body)
	}
	r.wantBindings(t, 0)
}

// resolver is a name server that a stranger runs.
type resolver func() []netip.Addr

func (f resolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return f(), nil }

// TestBindToARebindingName: the name is public at the first look, and at
// every other look it is loopback, where a server waits that has a session.
func TestBindToARebindingName(t *testing.T) {
	var looks, inside atomic.Int64
	r, is, token := wired(t, func(o *outbound.Options) {
		o.Allow = nil
		o.Resolver = resolver(func() []netip.Addr {
			if looks.Add(1) == 1 {
				return []netip.Addr{netip.MustParseAddr("93.184.215.14")}
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		})
		o.Dial = func(_ context.Context, addr netip.AddrPort) (net.Conn, error) {
			if addr.Addr().IsLoopback() {
				inside.Add(1)
			}
			return nil, &net.OpError{Op: "dial", Err: net.UnknownNetworkError("none")}
		}
	})
	_, port, _ := strings.Cut(is.Name(), ":")
	body := bindBody("rebinding.example.org:"+port, "1", "s")
	wantError(t, r.as(token, "POST", bindPath, body), http.StatusBadGateway, "M_UNKNOWN")
	wantError(t, r.as(token, "POST", bindPath, body), http.StatusBadRequest, "M_SERVER_NOT_TRUSTED")
	wantError(t, r.as(token, "POST", bindPath, bindBody(is.Name(), "1", "s")), http.StatusBadRequest, "M_SERVER_NOT_TRUSTED")
	if looks.Load() != 2 || inside.Load() != 0 || len(is.Requests()) != 0 {
		t.Errorf("got %d looks and %d connections to loopback, want one look for each request and none", looks.Load(), inside.Load())
	}
	r.wantBindings(t, 0)
}
