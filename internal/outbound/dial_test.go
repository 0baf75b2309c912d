// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

// refuse is a DialFunc that finds nobody there.
func refuse(context.Context, netip.AddrPort) (net.Conn, error) { return nil, syscall.ECONNREFUSED }

func TestDialOrder(t *testing.T) {
	tests := []struct {
		name     string
		resolved []netip.Addr
		want     []string
	}{
		{"one", addrs("1.1.1.1"), []string{"1.1.1.1:443"}},
		{"families take turns", addrs("2600::1", "2600::2", "1.1.1.1", "1.1.1.2"), []string{"[2600::1]:443", "1.1.1.1:443", "[2600::2]:443", "1.1.1.2:443"}},
		{"the first family leads", addrs("1.1.1.1", "1.1.1.2", "2600::1"), []string{"1.1.1.1:443", "[2600::1]:443", "1.1.1.2:443"}},
		{"uneven", addrs("1.1.1.1", "2600::1", "2600::2", "2600::3"), []string{"1.1.1.1:443", "[2600::1]:443", "[2600::2]:443", "[2600::3]:443"}},
		{"no more than four", addrs("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5", "1.1.1.6"), []string{"1.1.1.1:443", "1.1.1.2:443", "1.1.1.3:443", "1.1.1.4:443"}},
		{"four, both families among them", addrs("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5", "2600::1"), []string{"1.1.1.1:443", "[2600::1]:443", "1.1.1.2:443", "1.1.1.3:443"}},
		{"mapped answers are IPv4", addrs("::ffff:1.1.1.1"), []string{"1.1.1.1:443"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dials := &recorder{next: refuse}
			_, _, err := get(NewClient(Options{Resolver: resolveTo(tt.resolved...), Dial: dials.dial}), mustName(t, host).URL("/"))
			if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("got %v, want ECONNREFUSED", err)
			}
			var got []string
			for _, addr := range dials.seen() {
				got = append(got, addr.String())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("dialled %v, want %v", got, tt.want)
			}
		})
	}
}

func TestDialFallsBack(t *testing.T) {
	l := newLab(t, func(http.ResponseWriter, *http.Request) {}, Options{})
	first := true
	dial := func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
		if first {
			first = false
			return nil, syscall.ECONNREFUSED
		}
		return l.reach(ctx, addr)
	}
	d := &dialer{resolver: resolveTo(public6, public4), dial: dial, timeout: DefaultDialTimeout}
	conn, err := d.dialContext(t.Context(), "tcp", host+":443")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// TestDialStopsAtAForbiddenPeer: a peer that is not the address dialled is no
// reason to try the next address.
func TestDialStopsAtAForbiddenPeer(t *testing.T) {
	dials := &recorder{next: func(context.Context, netip.AddrPort) (net.Conn, error) { return nil, ErrForbiddenAddress }}
	_, _, err := get(NewClient(Options{Resolver: resolveTo(public4, public6), Dial: dials.dial}), mustName(t, host).URL("/"))
	if !errors.Is(err, ErrForbiddenAddress) || len(dials.seen()) != 1 {
		t.Errorf("got %v after %d dials, want ErrForbiddenAddress after 1", err, len(dials.seen()))
	}
}

// TestDialStopsWithTheRequest: of a request that was given up, no further address
// is tried.
func TestDialStopsWithTheRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dials := &recorder{next: func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
		cancel()
		return refuse(ctx, addr)
	}}
	d := &dialer{resolver: resolveTo(public4, public6), dial: dials.dial, timeout: DefaultDialTimeout}
	conn, err := d.dialContext(ctx, "tcp", host+":443")
	if conn != nil || !errors.Is(err, context.Canceled) || !errors.Is(err, syscall.ECONNREFUSED) || len(dials.seen()) != 1 {
		t.Errorf("got %v, %v after %d dials, want both errors after 1", conn, err, len(dials.seen()))
	}
}

func TestResolve(t *testing.T) {
	var asked []string
	broken := errors.New("no such name")
	resolver := resolverFunc(func(_ context.Context, host string) ([]netip.Addr, error) {
		asked = append(asked, host)
		if host == "empty.example" {
			return nil, nil
		}
		return nil, broken
	})
	dials := &recorder{next: refuse}
	client := NewClient(Options{Resolver: resolver, Dial: dials.dial})
	for _, name := range []string{"broken.example:8443", "empty.example", "1.1.1.1:8443", "[2600::1]"} {
		if _, _, err := get(client, mustName(t, name).URL("/")); err == nil {
			t.Errorf("%s: got no error", name)
		} else if name == "broken.example:8443" && !errors.Is(err, broken) {
			t.Errorf("%s: got %v, want the resolver's error", name, err)
		} else if name == "empty.example" && !strings.Contains(err.Error(), "the name has no address") {
			t.Errorf("%s: got %v, want it told", name, err)
		}
	}
	// Literals are not looked up.
	if want := []string{"broken.example", "empty.example"}; !slices.Equal(asked, want) {
		t.Errorf("looked up %q, want %q", asked, want)
	}
	want := []netip.AddrPort{netip.MustParseAddrPort("1.1.1.1:8443"), netip.MustParseAddrPort("[2600::1]:443")}
	if got := dials.seen(); !slices.Equal(got, want) {
		t.Errorf("dialled %v, want %v", got, want)
	}
}

// TestDialRefusesWhatIsNoName: the transport gives the dialer host:port, and the
// dialer does not rely on who asks.
func TestDialRefusesWhatIsNoName(t *testing.T) {
	d := &dialer{resolver: resolveTo(public4), dial: refuse, timeout: DefaultDialTimeout}
	for _, address := range []string{"", ":443", "example.org.:443", "[fe80::1%lo]:443", "0x7f000001:443"} {
		if _, err := d.dialContext(t.Context(), "tcp", address); !errors.Is(err, ErrName) {
			t.Errorf("%q: got %v, want ErrName", address, err)
		}
	}
}

// TestAllowList: a name on the list may have any address, and TLS is still
// verified; the name counts with its port, and its address counts for nothing.
func TestAllowList(t *testing.T) {
	r := newRebinding(t)
	r.opts.Resolver = resolveTo(local4)
	own := r.name(t).String()
	allowed := func(names ...string) *http.Client {
		opts := r.opts
		for _, name := range names {
			opts.Allow = append(opts.Allow, mustName(t, name))
		}
		return NewClient(opts)
	}
	if status, _, err := get(allowed("other.example", strings.ToUpper(own)), r.url(t)); err != nil || status != http.StatusOK {
		t.Errorf("allowed: got %d, %v, want 200", status, err)
	}
	before := r.accepts.Load()
	for name, client := range map[string]*http.Client{
		"without the port": allowed(host),
		"another port":     allowed(host + ":1"),
		"its address":      allowed(strings.Replace(own, host, "127.0.0.1", 1)),
		"a parent":         allowed(strings.Replace(own, host, "example", 1)),
		"the zero name":    NewClient(Options{RootCAs: r.opts.RootCAs, Resolver: r.opts.Resolver, Allow: []Name{{}}}),
		"nothing":          allowed(),
	} {
		if _, _, err := get(client, r.url(t)); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%s: got %v, want ErrForbiddenAddress", name, err)
		}
	}
	if got := r.accepts.Load(); got != before {
		t.Errorf("got %d connections, want none", got-before)
	}
	// The certificate is for host, not for this name.
	other := strings.Replace(own, host, "other.example", 1)
	if _, _, err := get(allowed(other), "https://"+other+"/"); err == nil || r.served.Load() != 1 {
		t.Errorf("got %v and %d requests served, want a TLS error and the first only", err, r.served.Load())
	}
}

// elsewhere is a connection to an address of any kind.
type elsewhere struct {
	net.Conn
	address string
	closed  bool
}

func (e *elsewhere) Close() error         { e.closed = true; return nil }
func (e *elsewhere) RemoteAddr() net.Addr { return e }
func (e *elsewhere) Network() string      { return "tcp" }
func (e *elsewhere) String() string       { return e.address }

// TestDialTCPChecksThePeer covers the belt: the peer must be the address asked for.
func TestDialTCPChecksThePeer(t *testing.T) {
	want := netip.MustParseAddrPort("93.184.215.14:443")
	tests := []struct {
		address string
		ok      bool
	}{
		{"93.184.215.14:443", true},
		{"[::ffff:93.184.215.14]:443", true},
		{"93.184.215.14:444", false},
		{"93.184.215.15:443", false},
		{"127.0.0.1:443", false},
		{"[::1]:443", false},
		{"pipe", false},
		{"", false},
	}
	for _, tt := range tests {
		if err := checkPeer(want, tt.address); (err == nil) != tt.ok || !tt.ok && !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%q: got %v, want ok: %t", tt.address, err, tt.ok)
		}
		if err := control(want)(t.Context(), "tcp", tt.address, nil); (err == nil) != tt.ok {
			t.Errorf("%q, before it is connected to: got %v, want ok: %t", tt.address, err, tt.ok)
		}
		peer := &elsewhere{address: tt.address}
		if conn, err := checked(want, peer); (err == nil) != tt.ok || (conn != nil) != tt.ok || peer.closed == tt.ok {
			t.Errorf("%q, once connected to: got %v, %v, closed: %v, want ok: %t", tt.address, conn, err, peer.closed, tt.ok)
		}
	}
	l := listen(t)
	conn, err := dialTCP(t.Context(), netip.AddrPortFrom(local4, l.port()))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	_ = l.Close()
	if _, err := dialTCP(t.Context(), netip.AddrPortFrom(local4, l.port())); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody there: got %v, want ECONNREFUSED", err)
	}
}
