// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
)

const (
	// proxyPause is how often a proxy that is not trusted is told of in the log
	// at most.
	proxyPause = 6 * time.Hour
	// proxyClients is for how many clients somebody must speak to be taken for a
	// proxy: a client can write anything into its headers.
	proxyClients = 3
	// proxyPeers bounds how many peers are remembered.
	proxyPeers = 64
)

// proxies finds proxies that Caddy does not trust, so that it takes them for the
// clients of all requests.
type proxies struct {
	mu    sync.Mutex
	peers map[netip.Addr][]netip.Addr // and for whom they have spoken
}

// found reports whether a request has come through one. The last address of the
// header is what the peer has seen; those before are hearsay.
func (p *proxies) found(r *http.Request) bool {
	forwarded := r.Header["X-Forwarded-For"]
	if len(forwarded) == 0 {
		return false
	}
	if trusted, known := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted || !known {
		return false
	}
	last := forwarded[len(forwarded)-1]
	client, err := netip.ParseAddr(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:]))
	if err != nil {
		return false
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return !strings.Contains(r.RemoteAddr, ":") // a socket of this machine
	}
	client, peer := client.Unmap(), at.Addr().Unmap()
	switch {
	case client == peer:
		return false
	case inside(peer) && !inside(client):
		return true
	}
	return p.speaksFor(peer, client)
}

// inside reports whether an address is one of a machine or a network of ours.
func inside(a netip.Addr) bool {
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}

// speaksFor counts clients.
func (p *proxies) speaksFor(peer, client netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen, known := p.peers[peer]
	if len(seen) >= proxyClients || slices.Contains(seen, client) {
		return len(seen) >= proxyClients
	}
	if !known && len(p.peers) >= proxyPeers {
		p.peers = nil
	}
	if p.peers == nil {
		p.peers = map[netip.Addr][]netip.Addr{}
	}
	p.peers[peer] = append(seen, client)
	return len(seen)+1 >= proxyClients
}

// lookForProxies looks at a request on the public site.
func (a *App) lookForProxies(r *http.Request) {
	if !a.proxies.found(r) {
		return
	}
	a.sighted(doctor.WiringProblem{
		Code:    doctor.CodeProxyNotTrusted,
		Problem: "Requests come through a proxy that trusted_proxies does not name, so that all clients behind it count as one and limits hit all of them.",
	}, proxyPause)
}
