// SPDX-License-Identifier: Apache-2.0

package wiring

import (
	"cmp"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// nameless is a host that nobody has: requests for it show what a site without
// a name of its own does.
const nameless = "nameless.invalid"

// maxHosts bounds how many names of one server are looked at.
const maxHosts = 256

// site is a host of a server.
type site struct {
	server *caddyhttp.Server
	listen []caddy.NetworkAddress
	host   string
	// name is how the host stands in the configuration, or empty.
	name string
}

// String is how an operator would call it.
func (s site) String() string {
	port := ""
	if len(s.listen) > 0 {
		port = strconv.FormatUint(uint64(s.listen[0].StartPort), 10)
	}
	if len(s.listen) > 0 && s.listen[0].IsUnixNetwork() {
		port = s.listen[0].String()
	}
	switch {
	case s.name == "":
		return ":" + port
	case port == "443" || port == "80" || port == "":
		return s.name
	}
	return net.JoinHostPort(s.name, port)
}

// local reports whether only this machine can reach the site.
func (s site) local() bool {
	return len(s.listen) > 0 && !slices.ContainsFunc(s.listen, func(a caddy.NetworkAddress) bool {
		return !a.IsUnixNetwork() && !loopback(a.Host)
	})
}

// closed reports whether the site asks clients for certificates, so that not
// everybody gets in.
func (s site) closed() bool {
	return slices.ContainsFunc(s.server.TLSConnPolicies, func(p *caddytls.ConnectionPolicy) bool { return p.ClientAuthentication != nil })
}

// on reports whether the site listens on a port.
func (s site) on(port uint) bool {
	return slices.ContainsFunc(s.listen, func(a caddy.NetworkAddress) bool {
		return !a.IsUnixNetwork() && a.StartPort <= port && port <= a.EndPort
	})
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || strings.EqualFold(host, "localhost")
}

// sitesOf lists the hosts of all servers, and for each server one that nobody
// has and those that are asked for.
func sitesOf(http *caddyhttp.App, more ...string) []site {
	var sites []site
	for _, name := range slices.Sorted(maps.Keys(http.Servers)) {
		server := http.Servers[name]
		var listen []caddy.NetworkAddress
		for _, raw := range server.Listen {
			if addr, err := caddy.ParseNetworkAddress(raw); err == nil {
				listen = append(listen, addr)
			}
		}
		found := inventory(server)
		for _, host := range slices.Sorted(maps.Keys(found.hosts)) {
			sites = append(sites, site{server, listen, host, found.hosts[host]})
		}
		for _, host := range append(more, nameless) {
			if _, named := found.hosts[host]; !named {
				sites = append(sites, site{server, listen, host, ""})
			}
		}
	}
	return sites
}

// contents is what stands in a server, wherever it does.
type contents struct {
	hosts           map[string]string // and how they stand in it
	guard, identity bool
}

func inventory(server *caddyhttp.Server) contents {
	c := contents{hosts: map[string]string{}}
	c.routes(server.Routes)
	for _, route := range server.NamedRoutes {
		if route != nil {
			c.routes(caddyhttp.RouteList{*route})
		}
	}
	return c
}

func (c *contents) routes(list caddyhttp.RouteList) {
	for _, route := range list {
		for _, set := range route.MatcherSets {
			for _, m := range set {
				switch m := m.(type) {
				case *caddyhttp.MatchHost:
					c.name(*m)
				case caddyhttp.MatchHost:
					c.name(m)
				}
			}
		}
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *caddyhttp.Subroute:
				c.routes(h.Routes)
			case *reverseproxy.Handler:
			case caddy.Module:
				id := h.CaddyModule().ID
				c.guard = c.guard || id == guardID
				c.identity = c.identity || id == identityID
			}
		}
	}
}

// name notes hosts. A pattern stands for one of those that it matches.
func (c *contents) name(hosts []string) {
	for _, host := range hosts {
		if len(c.hosts) >= maxHosts || strings.ContainsAny(host, "{}") {
			continue
		}
		c.hosts[strings.ToLower(strings.ReplaceAll(host, "*", "any"))] = host
	}
}

// dialled is the address of an upstream, in one spelling, or none if it is not
// known before a request comes.
func dialled(dial string) []string {
	if strings.ContainsAny(dial, "{}") {
		return nil
	}
	addr, err := caddy.ParseNetworkAddress(dial)
	switch {
	case err != nil || addr.IsUnixNetwork():
		return []string{dial}
	case loopback(addr.Host) || addr.Host == "":
		addr.Host = "localhost"
	}
	return []string{net.JoinHostPort(strings.ToLower(addr.Host), strconv.FormatUint(uint64(addr.StartPort), 10))}
}

// hostAndPort are those of a URL, the port perhaps by its scheme.
func hostAndPort(raw string) (host string, port uint) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", 0
	}
	n, err := strconv.ParseUint(cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme]), 10, 16)
	if err != nil {
		return u.Hostname(), 0
	}
	return strings.ToLower(u.Hostname()), uint(n)
}
