// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// AwaitHandover waits until the servers of the configuration before have left the
// ports, and forgets the connections to them. Caddy says that a configuration is
// loaded while they are still about to leave: each port has two sockets then, and the
// kernel drops what the old one has not accepted; connections that were kept are
// closed a moment later. Which requests meet that depends on how busy the machine is,
// and one that is no GET cannot be sent again by anybody.
func AwaitHandover(ctx context.Context, ports ...int) error {
	for {
		left := make([]string, 0, len(ports))
		for _, port := range ports {
			left = append(left, shared(Listening(port))...)
		}
		if len(left) == 0 {
			break
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("two servers still listen on each of %q: %w", left, ctx.Err())
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	return nil
}

// shared are the addresses that more than one socket listens on.
func shared(addresses []string) (twice []string) {
	seen := map[string]int{}
	for _, a := range addresses {
		if seen[a]++; seen[a] == 2 {
			twice = append(twice, a)
		}
	}
	return twice
}

// Listening are the addresses of the sockets that listen on a TCP port, as Linux
// tells them (proc(5)); other systems tell nothing.
func Listening(port int) (addresses []string) {
	const listens = "0A"
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		raw, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(raw)) {
			if f := strings.Fields(line); len(f) > 3 && f[3] == listens && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				addresses = append(addresses, f[1])
			}
		}
	}
	return addresses
}
