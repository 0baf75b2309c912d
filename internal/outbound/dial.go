// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// maxAttempts bounds how many addresses of one name are dialled: whoever runs
// the name's DNS chooses how many there are, and must not get a port scan.
const maxAttempts = 4

// Resolver looks names up; [net.Resolver] is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// DialFunc connects to a literal address over TCP.
type DialFunc func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)

// dialer connects to names. Its rule is that what is checked is what is dialled.
type dialer struct {
	resolver Resolver
	dial     DialFunc
	allow    map[Name]bool
	timeout  time.Duration
}

// requestContext is the key under which checkedTransport leaves a request's context.
type requestContext struct{}

// dialContext is what [net/http.Transport] calls for a connection to host:port.
// The transport lets it go on after the request was given up, for the benefit of
// later ones; here every connection is for one request and ends with it.
//
//nolint:contextcheck // the context in its value is the one that it was detached from.
func (d *dialer) dialContext(ctx context.Context, _, address string) (net.Conn, error) {
	if request, ok := ctx.Value(requestContext{}).(context.Context); ok {
		ctx = request
	}
	name, err := ParseName(address)
	if err != nil {
		return nil, err
	}
	host, port, _ := splitPort(address) // as ParseName did
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	addrs, err := d.resolve(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", name, err)
	}
	if !d.allow[name] {
		// One bad address condemns the name: a mixed answer is what a rebinding
		// name gives, and no honest server needs it.
		for _, addr := range addrs {
			if err := CheckAddress(addr); err != nil {
				return nil, fmt.Errorf("connect to %s: %w", name, err)
			}
		}
	}
	conn, err := d.connect(ctx, addrs, port)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", name, err)
	}
	return conn, nil
}

// resolve returns the addresses of a host, which may be a literal address: that
// is never looked up, as a resolver might know it by another reading.
func (d *dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if host[0] == '[' {
		host = host[1 : len(host)-1]
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	addrs, err := d.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, errors.New("the name has no address")
	}
	// net.Resolver returns A records in the IPv4-mapped form. An AAAA record in
	// that form cannot be told from one, and need not be: it is judged and
	// dialled as the IPv4 address that it leads to.
	plain := make([]netip.Addr, len(addrs))
	for i, addr := range addrs {
		plain[i] = addr.Unmap()
	}
	return plain, nil
}

// connect tries addresses in turn, giving each its share of the time left.
func (d *dialer) connect(ctx context.Context, addrs []netip.Addr, port uint16) (net.Conn, error) {
	addrs = alternate(addrs)
	addrs = addrs[:min(len(addrs), maxAttempts)]
	var failures []error
	for i, addr := range addrs {
		if err := ctx.Err(); err != nil {
			failures = append(failures, err)
			break
		}
		conn, err := d.attempt(ctx, netip.AddrPortFrom(addr, port), len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
		if errors.Is(err, ErrForbiddenAddress) {
			break
		}
	}
	return nil, errors.Join(failures...)
}

// attempt dials one address, with an equal part of the time for each that is left.
func (d *dialer) attempt(ctx context.Context, addr netip.AddrPort, left int) (net.Conn, error) {
	deadline, _ := ctx.Deadline() // that of dialContext
	ctx, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
	defer cancel()
	return d.dial(ctx, addr)
}

// alternate reorders addresses so that the families take turns, beginning with
// that of the first one (RFC 8305 section 4): a family that this host or that
// server has no route for then costs one attempt.
func alternate(addrs []netip.Addr) []netip.Addr {
	var first, second, out []netip.Addr
	for _, addr := range addrs {
		if addr.Is4() == addrs[0].Is4() {
			first = append(first, addr)
		} else {
			second = append(second, addr)
		}
	}
	for i := range max(len(first), len(second)) {
		out = append(out, first[min(i, len(first)):min(i+1, len(first))]...)
		out = append(out, second[min(i, len(second)):min(i+1, len(second))]...)
	}
	return out
}

// dialTCP is the real [DialFunc]. It looks twice more, before the connection is
// made and after, whether its peer is the address that was checked: that holds
// by construction today, and this keeps it so.
func dialTCP(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{ControlContext: control(addr)}
	conn, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	return checked(addr, conn)
}

// control looks at the address that a socket is about to be connected to.
func control(addr netip.AddrPort) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error { return checkPeer(addr, address) }
}

// checked returns a connection, or closes it if its peer is another.
func checked(addr netip.AddrPort, conn net.Conn) (net.Conn, error) {
	if err := checkPeer(addr, conn.RemoteAddr().String()); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// checkPeer compares the address that is connected to with the one that should be.
func checkPeer(want netip.AddrPort, address string) error {
	got, err := netip.ParseAddrPort(address)
	if err != nil || got.Port() != want.Port() || got.Addr().Unmap() != want.Addr().Unmap() {
		return fmt.Errorf("%w: connected to another address than was checked", ErrForbiddenAddress)
	}
	return nil
}
