// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ErrName is what [ParseName] and the client answer to anything that is not the
// name of a server.
var ErrName = errors.New("not a server name")

// The port that a name without one means, which a canonical name leaves out.
const defaultPort = 443

// Limits on the text of a name in DNS (RFC 1035 section 2.3.4, less the octets
// that only the wire format needs).
const (
	maxHost  = 253
	maxLabel = 63
)

// Name is the name of a server on the internet, host[:port], in its canonical
// spelling: lower case, no leading zeros, IPv6 as in RFC 5952 and in brackets,
// no port 443. Two names are the same server name exactly when they are equal.
// Only [ParseName] makes one; the zero Name is none, and the client refuses it.
type Name struct {
	canonical string
}

// ParseName reads the name of a server as strangers may write it: a DNS name in
// letters, digits and hyphens (internationalised ones as their A-labels), an
// IPv4 address in four decimal numbers, or an IPv6 address in brackets, and
// optionally a port.
//
// It refuses what other parsers might read as something else: any trace of a
// URL, a dot at the end, an address in octal, hexadecimal or fewer than four
// parts, a zone, and every character outside ASCII. Errors are [ErrName] and do
// not repeat what was refused.
func ParseName(raw string) (Name, error) {
	host, port, err := splitPort(raw)
	if err != nil {
		return Name{}, err
	}
	if host, err = canonicalHost(host); err != nil {
		return Name{}, err
	}
	if port == defaultPort {
		return Name{canonical: host}, nil
	}
	return Name{canonical: host + ":" + strconv.Itoa(int(port))}, nil
}

// String returns the canonical spelling, host[:port].
func (n Name) String() string { return n.canonical }

// URL returns the https URL of a path, which begins with a slash and is escaped
// already, on the server.
func (n Name) URL(path string) string { return "https://" + n.canonical + path }

// splitPort cuts a name in two; a host in brackets keeps them.
func splitPort(raw string) (host string, port uint16, err error) {
	end := strings.IndexByte(raw, ':')
	if strings.HasPrefix(raw, "[") {
		end = strings.IndexByte(raw, ']') + 1 // zero if it is not closed
	}
	if end < 0 || end == len(raw) {
		return raw, defaultPort, nil
	}
	digits, found := strings.CutPrefix(raw[end:], ":")
	if !found {
		return "", 0, fmt.Errorf("%w: unclosed bracket, or text after it", ErrName)
	}
	// In base 10 ParseUint accepts digits only, but also zero and leading zeros.
	number, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || digits[0] == '0' {
		return "", 0, fmt.Errorf("%w: bad port", ErrName)
	}
	return raw[:end], uint16(number), nil
}

// canonicalHost checks a host and returns its one spelling.
func canonicalHost(host string) (string, error) {
	if inner, bracketed := strings.CutPrefix(host, "["); bracketed {
		return canonicalIPv6(strings.TrimSuffix(inner, "]"))
	}
	if len(host) > maxHost {
		return "", fmt.Errorf("%w: too long", ErrName)
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !isLDH(label) {
			return "", fmt.Errorf("%w: not letters, digits and hyphens between single dots", ErrName)
		}
	}
	// Lower case only now: in Unicode there are more letters than A to Z whose
	// lower case is in ASCII, such as the Kelvin sign.
	host = strings.ToLower(host)
	if !endsInNumber(labels[len(labels)-1]) {
		return host, nil
	}
	// ParseAddr wants four decimal numbers without leading zeros.
	if _, err := netip.ParseAddr(host); err != nil {
		return "", fmt.Errorf("%w: unusual spelling of an IPv4 address", ErrName)
	}
	return host, nil
}

// canonicalIPv6 reads what stood between the brackets.
func canonicalIPv6(text string) (string, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is6() {
		return "", fmt.Errorf("%w: not an IPv6 address", ErrName)
	}
	if addr.Zone() != "" {
		return "", fmt.Errorf("%w: zone in an IPv6 address", ErrName)
	}
	return "[" + addr.String() + "]", nil
}

// isLDH holds a label to the host name grammar of RFC 952 and RFC 1123 section
// 2.1. A-labels fit in; whether they decode is the business of whoever issued
// the name, as nothing here decodes them.
func isLDH(label string) bool {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		switch c := label[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
		default:
			return false
		}
	}
	return true
}

// endsInNumber is the rule by which the URL Standard ("ends in a number") takes a
// host for an IPv4 address: the last label is a number in decimal, octal or
// hexadecimal. The C library reads such hosts as addresses too, so none of them
// may pass for a DNS name.
func endsInNumber(last string) bool {
	set := "0123456789"
	if strings.HasPrefix(last, "0x") || strings.HasPrefix(last, "0X") {
		last, set = last[2:], "0123456789abcdefABCDEF"
	}
	return strings.Trim(last, set) == ""
}
