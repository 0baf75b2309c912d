// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"os"
	"strings"
)

// AdminEndpoint is where the server takes commands. Whoever reaches it can stop
// the server, and a homeserver posts wherever the pushers of its users say.
type AdminEndpoint struct {
	// Network is "unix", "fd" for a socket that the server was given, or that of a
	// port.
	Network string
	// Address is the path of a socket, or host and port.
	Address string
	// OriginEnforced: requests without an origin of its own are refused, as those
	// of a homeserver are.
	OriginEnforced bool
}

// subject is what a finding is about.
func (a AdminEndpoint) subject() string {
	if a.onPort() {
		return a.Address
	}
	return a.Network + "/" + a.Address
}

func (a AdminEndpoint) onPort() bool {
	return !strings.HasPrefix(a.Network, "unix") && !strings.HasPrefix(a.Network, "fd")
}

// Open reports whether users of the homeserver may reach it.
func (a AdminEndpoint) Open() bool { return a.onPort() && !a.OriginEnforced }

// examine looks at who gets through to it.
func (a AdminEndpoint) examine(_ context.Context, r *results) {
	switch {
	case a.Open():
		r.report(codeAdminOnPort, "The admin endpoint listens on a port: any user of the homeserver can have it post there (a pusher's URL is theirs to choose), and end or reconfigure this server.")
	case a.onPort():
		r.report(codeAdminReachable, "The admin endpoint listens on a port: homeservers and web pages are refused, other programs of this machine are not.")
	case strings.HasPrefix(a.Network, "fd"):
		r.report(codeAdminReachable, "The admin endpoint listens where the server was started with: it cannot be seen here whether that is a port.")
	case strings.HasPrefix(a.Address, "@"):
		r.report(codeAdminSocketMode, "The admin endpoint listens on an abstract socket, which has no mode: every user of this machine can connect to it.")
	default:
		info, err := os.Stat(a.Address)
		if err == nil && hasModes && info.Mode().Perm()&0o002 != 0 {
			r.report(codeAdminSocketMode, "The admin endpoint's socket has the mode %s, so that every user of this machine can connect to it.", info.Mode().Perm())
		}
	}
}
