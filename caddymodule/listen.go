// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net"

	"github.com/caddyserver/caddy/v2"
)

// errNotStream is returned for a network that has no connections.
var errNotStream = errors.New("is no address to listen on; write unix//run/threepid/lmtp.sock or 127.0.0.1:24")

// listen opens a listener of Caddy's.
func listen(addr caddy.NetworkAddress) (net.Listener, error) {
	opened, err := addr.Listen(context.Background(), 0, net.ListenConfig{})
	if err != nil {
		return nil, err
	}
	ln, ok := opened.(net.Listener)
	if !ok {
		return nil, errNotStream
	}
	return ln, nil
}
