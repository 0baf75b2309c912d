// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/netip"

	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
)

// Audience tells who makes a request, and how they are spoken to.
type Audience interface {
	// ClientAddr is the address of the client, or none, for the limits.
	ClientAddr(r *http.Request) netip.Addr
	// Language is the one for an Accept-Language header.
	Language(acceptLanguage string) string
	// Brand is the one of a host.
	Brand(host string) string
}

// clientAddr is the address of the client, or none.
func (c *Config) clientAddr(r *http.Request) netip.Addr {
	if c.Audience != nil {
		return c.Audience.ClientAddr(r)
	}
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // a Unix socket has none
	return peer.Addr()
}

// originOf is as much of where a request came from as its reader may be told.
func (c *Config) originOf(r *http.Request) provenance.Origin {
	return provenance.Of(r.UserAgent(), c.clientAddr(r), c.RequestContext)
}

func (c *Config) languageOf(r *http.Request) string {
	if c.Audience == nil {
		return ""
	}
	return c.Audience.Language(r.Header.Get("Accept-Language"))
}

// brandOf is the brand of the host that was asked, for what no session says it of.
func (c *Config) brandOf(r *http.Request) string {
	if c.Audience == nil {
		return ""
	}
	return c.Audience.Brand(r.Host)
}
