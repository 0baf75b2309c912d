// SPDX-License-Identifier: Apache-2.0

package provenance

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Detail is how much an operator lets be told of where a request came from.
type Detail string

// The details.
const (
	// Full tells the program and 24 bits of an IPv4 address, 48 of IPv6.
	Full Detail = "full"
	// Coarse tells the program and 16 bits of an IPv4 address, 32 of IPv6: about
	// as much as the name of a provider.
	Coarse Detail = "coarse"
	// Off tells neither.
	Off Detail = "off"
)

// Origin is where a request came from. Each part is empty if it is unknown, or
// not to be told.
type Origin struct {
	Program string `cbor:"1,keyasint,omitempty"`
	System  string `cbor:"2,keyasint,omitempty"`
	Network string `cbor:"3,keyasint,omitempty"`
}

// maxAgent bounds how much of a header is looked at; apps and browsers send far
// less.
const maxAgent = 512

// mark is a sign in a User-Agent header, in lower case, and what it stands for.
// Signs are tried in their order: programs also name those that they are like.
type mark struct{ sign, name string }

// programs are the clients of Matrix that people use, and then browsers, which
// most web clients run in.
var programs = []mark{
	{"schildichat", "SchildiChat"},
	{"element x/", "Element X"},
	{"elementx/", "Element X"},
	{"element%20x/", "Element X"},
	{"element/", "Element"},
	{"element dbg/", "Element"},
	{"element%20", "Element"},
	{"riotx", "Riot"},
	{"riot.im/", "Riot"},
	{"riot/", "Riot"},
	{"riot ", "Riot"},
	{"fluffychat", "FluffyChat"},
	{"nheko", "Nheko"},
	{"neochat", "NeoChat"},
	{"quaternion", "Quaternion"},
	{"fractal", "Fractal"},
	{"gomuks", "gomuks"},
	{"cinny", "Cinny"},
	{"commet", "Commet"},
	{"beeper", "Beeper"},
	{"edg/", "Edge"},
	{"edga/", "Edge"},
	{"edgios/", "Edge"},
	{"opr/", "Opera"},
	{"firefox/", "Firefox"},
	{"fxios/", "Firefox"},
	{"crios/", "Chrome"},
	{"chrome/", "Chrome"},
	{"safari/", "Safari"},
}

// systems are what they run on. An iPad may say that it is a Mac.
var systems = []mark{
	{"iphone", "iOS"},
	{"ipad", "iOS"},
	{"ipod", "iOS"},
	{"ios ", "iOS"},
	{"android", "Android"},
	{"cros ", "ChromeOS"},
	{"windows", "Windows"},
	{"macintosh", "macOS"},
	{"mac os x", "macOS"},
	{"macos", "macOS"},
	{"linux", "Linux"},
	{"x11;", "Linux"},
}

// Of is where a request with this User-Agent header came from, as far as it may
// be told.
func Of(userAgent string, client netip.Addr, detail Detail) Origin {
	if detail == Off {
		return Origin{}
	}
	agent := strings.ToLower(userAgent[:min(len(userAgent), maxAgent)])
	o := Origin{Program: find(programs, agent), System: find(systems, agent), Network: network(client, detail)}
	if o.Program == "" {
		o.System = "" // of a program, not of a library
	}
	return o
}

func find(table []mark, agent string) string {
	for _, m := range table {
		if strings.Contains(agent, m.sign) {
			return m.name
		}
	}
	return ""
}

// shared is what providers put many customers behind (RFC 6598): it is no more a
// place than a private network is.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// network is the beginning of an address: 203.0.x.x, or 2001:db8::/32. An
// address that is not on the public internet says nothing of a place.
func network(client netip.Addr, detail Detail) string {
	client = client.Unmap().WithZone("")
	if !client.IsGlobalUnicast() || client.IsPrivate() || shared.Contains(client) {
		return ""
	}
	if client.Is4() {
		b := client.As4()
		if detail == Full {
			return fmt.Sprintf("%d.%d.%d.x", b[0], b[1], b[2])
		}
		return fmt.Sprintf("%d.%d.x.x", b[0], b[1])
	}
	bits := 32
	if detail == Full {
		bits = 48
	}
	return netip.PrefixFrom(client, bits).Masked().String()
}

// IsZero reports whether nothing is known; the encoder of records asks.
func (o Origin) IsZero() bool { return o == Origin{} }

// App is the program and what it runs on, "Element (Android)", or empty.
func (o Origin) App() string {
	if o.Program == "" || o.System == "" {
		return o.Program
	}
	return o.Program + " (" + o.System + ")"
}

// Checked is the origin without anything that [Of] does not make.
func (o Origin) Checked() Origin {
	c := Origin{}
	if named(programs, o.Program) {
		c.Program = o.Program
	}
	if c.Program != "" && named(systems, o.System) {
		c.System = o.System
	}
	if made(o.Network) {
		c.Network = o.Network
	}
	return c
}

func named(table []mark, name string) bool {
	return slices.ContainsFunc(table, func(m mark) bool { return m.name == name })
}

// made reports whether a network is one that we have written.
func made(text string) bool {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Addr().Is6() && !prefix.Addr().Is4In6() && prefix.Masked().String() == text
	}
	digits, hidden := strings.CutSuffix(text, ".x")
	if !hidden {
		return false
	}
	if rest, more := strings.CutSuffix(digits, ".x"); more {
		digits = rest + ".0"
	}
	addr, err := netip.ParseAddr(digits + ".0")
	return err == nil && addr.Is4()
}
