// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// awaitHandover waits until the servers of the configuration before have left the
// ports of the site, and forgets the connections to them. Caddy says that a
// configuration is loaded while they are still about to leave: each port has two
// sockets then, and the kernel drops what the old one has not accepted; connections
// that were kept are closed a moment later. Which requests meet that depends on how
// busy the machine is, and one that is no GET cannot be sent again by anybody.
func (s *site) awaitHandover() {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		var left []string
		for _, port := range []int{s.public, s.identity, s.admin} {
			left = append(left, shared(listening(port))...)
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("two servers still listen on each of %q", left)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
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

// listening are the addresses of the sockets that listen on a TCP port, as Linux
// tells them (proc(5)); other systems tell nothing.
func listening(port int) (addresses []string) {
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

// TestHandoverIsOver: after each of many loads one server listens on each port, and
// no request of any kind is lost.
func TestHandoverIsOver(t *testing.T) {
	w := newWhole(t, "off")
	for i := range 8 {
		w.mustLoad(w.loaded)
		for _, port := range []int{w.public, w.identity, w.admin} {
			if got := listening(port); len(got) != 1 && listening(w.public) != nil {
				t.Fatalf("load %d: %q listen on port %d, want one", i, got, port)
			}
		}
		w.ask("r0", "register", fmt.Sprint("secret", i), fmt.Sprintf("user%d@example.test", i))
	}
}
