// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// flip answers the public address on odd looks and loopback on even ones.
func flip(look int) []netip.Addr {
	if look%2 == 1 {
		return []netip.Addr{public4}
	}
	return []netip.Addr{local4}
}

// offline is the real dial function, but for ordinary addresses, which tests must
// not connect to. Loopback it would reach.
func offline(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	if CheckAddress(addr.Addr()) == nil {
		return nil, syscall.ENETUNREACH
	}
	return dialTCP(ctx, addr)
}

// rebinding is a TLS server on loopback with a certificate for host: had the
// client connected, nothing else would have stopped it.
type rebinding struct {
	*countedListener
	served atomic.Int64
	opts   Options
}

func newRebinding(t *testing.T) *rebinding {
	t.Helper()
	ca := newAuthority(t)
	r := &rebinding{countedListener: listen(t), opts: Options{RootCAs: ca.Pool()}}
	serve(t, r, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil, host)}},
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { r.served.Add(1) }))
	return r
}

func (r *rebinding) name(t *testing.T) Name {
	t.Helper()
	return mustName(t, fmt.Sprintf("%s:%d", host, r.port()))
}

func (r *rebinding) url(t *testing.T) string { return r.name(t).URL("/") }

// hammer sends n requests, each of which must fail, and counts the refusals.
func hammer(t *testing.T, client *http.Client, url string, workers, n int) (forbidden int64) {
	t.Helper()
	var count atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range n / workers {
				_, _, err := get(client, url)
				if err == nil {
					t.Error("a request came through")
				}
				if errors.Is(err, ErrForbiddenAddress) {
					count.Add(1)
				}
			}
		})
	}
	group.Wait()
	return count.Load()
}

// TestRebindingNeverReachesLoopback is the attack: the name has a public address
// when it is checked and loopback when it is used, or the other way round. The
// answer flips at every look. Whatever the order, only the address that was
// checked is dialled, and loopback is never connected to.
func TestRebindingNeverReachesLoopback(t *testing.T) {
	var looks atomic.Int64
	dns := newDNSServer(t, func(look int) []netip.Addr { looks.Add(1); return flip(look) })
	tests := []struct {
		name     string
		workers  int
		resolver Resolver
	}{
		// Go's resolver lets simultaneous look-ups share their answer.
		{"by DNS, one after the other", 1, dns.resolver()},
		{"many at once", 8, resolverFunc(func(context.Context, string) ([]netip.Addr, error) {
			return flip(int(looks.Add(1))), nil
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			looks.Store(0)
			attack(t, tt.resolver, tt.workers)
			if got := looks.Load(); got != attacks {
				t.Errorf("got %d look-ups for %d requests, want one each", got, attacks)
			}
		})
	}
}

// attacks is how many requests an attack consists of; flip makes half of them
// see loopback.
const attacks = 400

func attack(t *testing.T, resolver Resolver, workers int) {
	t.Helper()
	r := newRebinding(t)
	dials := &recorder{next: offline}
	r.opts.Resolver, r.opts.Dial = resolver, dials.dial

	if got := hammer(t, NewClient(r.opts), r.url(t), workers, attacks); got != attacks/2 {
		t.Errorf("got %d refusals, want %d: one for each loopback answer", got, attacks/2)
	}
	want := netip.AddrPortFrom(public4, r.port())
	for _, got := range dials.seen() {
		if got != want {
			t.Errorf("dialled %s, want %s only", got, want)
		}
	}
	if got := len(dials.seen()); got != attacks/2 {
		t.Errorf("got %d dials, want %d: one for each public answer", got, attacks/2)
	}
	if got := r.accepts.Load(); got != 0 {
		t.Errorf("got %d connections to loopback, want none", got)
	}

	// The same set-up without the checks: a connection would have been seen.
	r.opts.Allow, r.opts.Resolver = []Name{r.name(t)}, resolveTo(local4)
	if status, _, err := get(NewClient(r.opts), r.url(t)); err != nil || status != http.StatusOK || r.accepts.Load() != 1 {
		t.Errorf("control: got %d, %v and %d connections, want 200 and 1", status, err, r.accepts.Load())
	}
}

// TestRebindingWithTheRealDialer is the attack on a client as it is in service,
// with no dial function put in. Public answers give the request up before the
// first packet, as tests do not leave this machine.
func TestRebindingWithTheRealDialer(t *testing.T) {
	const requests = 200
	r := newRebinding(t)
	var looks, forbidden int
	for range requests {
		ctx, cancel := context.WithCancel(t.Context())
		r.opts.Resolver = resolverFunc(func(context.Context, string) ([]netip.Addr, error) {
			looks++
			addrs := flip(looks)
			if addrs[0] == public4 {
				cancel()
			}
			return addrs, nil
		})
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := NewClient(r.opts).Do(req)
		if err == nil {
			_ = resp.Body.Close()
			t.Fatal("a request came through")
		}
		if errors.Is(err, ErrForbiddenAddress) {
			forbidden++
		}
		cancel()
	}
	if forbidden != requests/2 || r.accepts.Load() != 0 {
		t.Errorf("got %d refusals and %d connections to loopback, want %d and none", forbidden, r.accepts.Load(), requests/2)
	}
}

// TestRebindingMixedAnswer: one bad address among good ones condemns the name,
// wherever it stands.
func TestRebindingMixedAnswer(t *testing.T) {
	for name, addrs := range map[string][]netip.Addr{
		"last":              {public4, public6, local4},
		"first":             {local4, public4},
		"IPv6 loopback":     {public4, local6},
		"mapped loopback":   {public4, netip.AddrFrom16(local4.As16())},
		"beyond the dialed": {public4, public4, public4, public4, public4, public4, netip.MustParseAddr("10.0.0.1")},
		"metadata":          {public4, netip.MustParseAddr("169.254.169.254")},
		"with a zone":       {public6, netip.MustParseAddr("fe80::1%lo")},
		"invalid":           {public4, {}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRebinding(t)
			dials := &recorder{next: offline}
			r.opts.Resolver, r.opts.Dial = resolveTo(addrs...), dials.dial
			if _, _, err := get(NewClient(r.opts), r.url(t)); !errors.Is(err, ErrForbiddenAddress) {
				t.Errorf("got %v, want ErrForbiddenAddress", err)
			}
			if len(dials.seen()) != 0 || r.accepts.Load() != 0 {
				t.Errorf("dialled %v, %d connections, want none", dials.seen(), r.accepts.Load())
			}
		})
	}
}

// TestForbiddenRangesAreNotDialled drives every range through the client, as a
// name that resolves to it and as a literal.
func TestForbiddenRangesAreNotDialled(t *testing.T) {
	for _, tt := range forbiddenRanges {
		t.Run(tt.name, func(t *testing.T) {
			for _, text := range []string{tt.first, tt.last} {
				addr := netip.MustParseAddr(text)
				dials := &recorder{next: func(context.Context, netip.AddrPort) (net.Conn, error) { return nil, syscall.ENETUNREACH }}
				client := NewClient(Options{Resolver: resolveTo(addr), Dial: dials.dial})
				literal := text
				if addr.Is6() {
					literal = "[" + text + "]"
				}
				urls := []string{mustName(t, literal+":8443").URL("/")}
				// A resolver's mapped answer counts as the IPv4 address in it.
				if CheckAddress(addr.Unmap()) != nil {
					urls = append(urls, mustName(t, host).URL("/"))
				}
				for _, url := range urls {
					if _, _, err := get(client, url); !errors.Is(err, ErrForbiddenAddress) {
						t.Errorf("%s: got %v, want ErrForbiddenAddress", url, err)
					}
				}
				if got := dials.seen(); len(got) != 0 {
					t.Errorf("%s: dialled %v", text, got)
				}
			}
		})
	}
}
