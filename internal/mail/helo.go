// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
)

// checkHELO refuses a name that strict relays refuse, while there is somebody
// to read why. The bare name of this machine, which callers take from the
// system, is as good as none.
func (c *SMTPConfig) checkHELO(host string) error {
	if strings.ContainsFunc(c.HELO, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("helo %q is not a host name", c.HELO)
	}
	if loopback(host) {
		setDefault(&c.HELO, "localhost")
		return nil
	}
	if c.HELO == "" || validHELO(c.HELO) {
		return nil
	}
	if system, err := os.Hostname(); err == nil && c.HELO == system {
		c.HELO = ""
		return nil
	}
	return fmt.Errorf("helo %q must be a fully qualified host name like mx.example.org, or an address literal like [192.0.2.1]", c.HELO)
}

// validHELO reports a domain or an address literal as RFC 5321 §4.1.1.1 asks
// for. A domain is one with a dot, whose last label is no number: nobody else
// can resolve another, and a bare IP address is a common mistake.
func validHELO(name string) bool {
	if literal, ok := strings.CutPrefix(name, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		six, isSix := strings.CutPrefix(literal, "IPv6:")
		ip, err := netip.ParseAddr(six)
		return ok && err == nil && ip.Zone() == "" && ip.Is6() == isSix
	}
	labels := strings.Split(name, ".")
	if len(labels) < 2 || len(name) > maxHostName {
		return false
	}
	for _, label := range labels {
		if !validLabel(label) {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// maxHostName is the longest name in the DNS (RFC 1035 §2.3.4), in the form
// with dots.
const maxHostName = 253

func validLabel(label string) bool {
	return label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-' &&
		!strings.ContainsFunc(label, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
		})
}

// helo is the name to introduce oneself by on a connection.
func (s *SMTP) helo(c net.Conn) string {
	if s.cfg.HELO != "" {
		return s.cfg.HELO
	}
	if name, err := s.hostname(); err == nil && validHELO(name) {
		return name
	}
	return addressLiteral(c.LocalAddr())
}

// addressLiteral writes the address of this end for lack of a name (RFC 5321
// §4.1.3). The last resort is a name that is reserved for being none.
func addressLiteral(local net.Addr) string {
	tcp, ok := local.(*net.TCPAddr)
	if !ok {
		return "client.invalid"
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	switch ip = ip.Unmap(); {
	case !ok:
		return "client.invalid"
	case ip.Is4():
		return "[" + ip.String() + "]"
	default:
		return "[IPv6:" + ip.String() + "]"
	}
}
