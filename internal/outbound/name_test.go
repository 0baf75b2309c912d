// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// longHost has 253 characters in labels of at most 63.
var longHost = strings.Repeat(strings.Repeat("a", 49)+".", 5) + "abc"

func TestParseName(t *testing.T) {
	tests := []struct{ raw, want string }{
		{"example.org", "example.org"},
		{"Example.ORG", "example.org"},
		{"localhost", "localhost"},
		{"vector.im:8090", "vector.im:8090"},
		{"example.org:443", "example.org"},
		{"example.org:1", "example.org:1"},
		{"example.org:65535", "example.org:65535"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
		{"r3---sn-4g5e6nez.example", "r3---sn-4g5e6nez.example"},
		{"1.example", "1.example"},
		{"1.2.3.4.example", "1.2.3.4.example"},
		{"3com", "3com"},
		{"AZ-az.09-90a", "az-az.09-90a"},
		{"0xyz", "0xyz"},
		{"example.0xfg", "example.0xfg"},
		{longHost, longHost},
		{longHost + ":65535", longHost + ":65535"},
		{strings.Repeat("a", 63) + ".example", strings.Repeat("a", 63) + ".example"},
		{"192.0.2.1", "192.0.2.1"},
		{"127.0.0.1:8443", "127.0.0.1:8443"},
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255:443", "255.255.255.255"},
		{"[::1]", "[::1]"},
		{"[::]:8443", "[::]:8443"},
		{"[2001:DB8:0:0:0:0:0:1]:443", "[2001:db8::1]"},
		{"[::FFFF:127.0.0.1]", "[::ffff:127.0.0.1]"},
		{"[::ffff:7f00:1]", "[::ffff:127.0.0.1]"},
		{"[0:0:0:0:0:0:127.0.0.1]", "[::7f00:1]"},
	}
	for _, tt := range tests {
		t.Run(tt.raw, func(t *testing.T) {
			name, err := ParseName(tt.raw)
			if got := name.String(); err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
			if name == (Name{}) {
				t.Error("a name that was parsed is the zero Name")
			}
		})
	}
}

func TestParseNameRefuses(t *testing.T) {
	tests := map[string][]string{
		"nothing":     {"", ":", ":443", ".", "..", "[", "]", "[]", "[]:443", "[:443"},
		"a URL":       {"https://example.org", "http://example.org", "//example.org", "https:example.org", "example.org/", "example.org/path", "example.org:443/", `example.org\`, "example.org?q", "example.org#f", "javascript:alert(1)", "file:///etc/passwd"},
		"userinfo":    {"user@example.org", "user:pass@example.org", "@example.org", "example.org@127.0.0.1", "example.org:443@127.0.0.1", "example.org:80:443"},
		"spaces":      {" example.org", "example.org ", "exa mple.org", "example.org\n", "example.org\r\nHost: evil", "\texample.org", "example.org:443\n", "example.org: 443", "example.org\x00", "example.org\x7f", "example.org\u00a0"},
		"percent":     {"example%2eorg", "%31%32%37.0.0.1", "example.org%00", "127.0.0.1%2f"},
		"dots":        {"example.org.", "example.org.:443", ".example.org", "example..org", "localhost.", "127.0.0.1.", "127.0.0.1..", "example.org:443."},
		"labels":      {"-example.org", "example-.org", "exa_mple.org", "_matrix._tcp.example.org", "*.example.org", "a." + strings.Repeat("b", 64), longHost + "d", "a." + longHost, "example,org", "example;org", "exa'mple.org", `"example.org"`, "<b>.org", "$(id).org", "example.org~", "+example.org"},
		"ports":       {"example.org:", "example.org:0", "example.org:00443", "example.org:0443", "example.org:65536", "example.org:99999", "example.org:4294967739", "example.org:18446744073709551617", "example.org:-443", "example.org:+443", "example.org:0x1bb", "example.org:443a", "example.org:４４３", "example.org:4_43", "example.org:1e3", "example.org::443", "127.0.0.1:", "[::1]:", "[::1]:0", "[::1]443", "[::1]:443:443", "[::1].example", "[::1]x:443"},
		"odd IPv4":    {"127.1", "127.0.1", "2130706433", "0x7f000001", "0X7F000001", "0x7f.1", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.0.0.01", "127.0.0.0x1", "127.0.0.256", "256.0.0.1", "1.2.3.4.5", "1.2.3", "0", "0x", "0x.", "foo.0x", "foo.0", "foo.127.0.0.1.2", "example.1", "example.0x7f", "example.0X7F", "127.0.0.4294967295", "00000000177.0.0.1"},
		"IPv6":        {"::1", "::1:443", "fe80::1", "[fe80::1%eth0]", "[fe80::1%25eth0]", "[::1%]", "[1.2.3.4]", "[example.org]", "[::1", "::1]", "[[::1]]", "[::1]]", "[::g]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[:::1]", "[::127.0.0.1.1]", "[::0127.0.0.1]", "[::127.1]", "[v1.fe80::a]", "[ ::1]", "[00001::1]"},
		"not ASCII":   {"exämple.org", "bücher.example", "１２７.0.0.1", "127。0。0。1", "example。org", "ｅxample.org", "exam\u00adple.org", "exam\u200dple.org", "faß.example", "\u212aelvin.example", "ⓔxample.org", "examp\xffle.org", "①.example"},
		"over length": {strings.Repeat("a.", 127) + "a", strings.Repeat("a", 260), strings.Repeat("1", 1<<20)},
	}
	for why, names := range tests {
		for _, raw := range names {
			t.Run(why+"/"+raw[:min(len(raw), 40)], func(t *testing.T) {
				name, err := ParseName(raw)
				if !errors.Is(err, ErrName) {
					t.Fatalf("got %q, %v, want ErrName", name, err)
				}
				if name != (Name{}) {
					t.Errorf("got %q beside the error", name)
				}
				if len(raw) > 6 && strings.Contains(err.Error(), raw) {
					t.Errorf("the error %q repeats what was refused", err)
				}
			})
		}
	}
}

// checkInvariants is what holds for every name that ParseName accepts.
func checkInvariants(t interface{ Errorf(string, ...any) }, raw string) {
	name, err := ParseName(raw)
	if err != nil {
		if !errors.Is(err, ErrName) || name != (Name{}) {
			t.Errorf("%q: got %q, %v, want the zero Name and ErrName", raw, name, err)
		}
		return
	}
	text := name.String()
	if again, err := ParseName(text); err != nil || again != name {
		t.Errorf("%q: its canonical spelling %q becomes %q, %v", raw, text, again, err)
	}
	if !strings.EqualFold(text, raw) && !strings.HasSuffix(raw, ":443") && raw[0] != '[' {
		t.Errorf("%q: became %q, which is not the same name in lower case", raw, text)
	}
	u, err := url.Parse(name.URL("/_matrix/identity/v2"))
	if err != nil {
		t.Errorf("%q: url.Parse: %v", raw, err)
		return
	}
	if u.Scheme != "https" || u.Host != text || u.User != nil || u.Path != "/_matrix/identity/v2" ||
		u.RawPath != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		t.Errorf("%q: the URL reads as %#v", raw, u)
	}
	req, err := http.NewRequest(http.MethodGet, name.URL("/"), nil)
	if err != nil || checkTarget(req) != nil {
		t.Errorf("%q: the client would refuse it: %v", raw, err)
	}
	if hostname := u.Hostname(); strings.Trim(hostname[strings.LastIndexByte(hostname, '.')+1:], "0123456789") == "" {
		if addr, err := netip.ParseAddr(hostname); err != nil || addr.String() != hostname {
			t.Errorf("%q: host %q ends in a number and is no plain address", raw, hostname)
		}
	}
}

// genName makes names that are almost right: most of the interest is in how
// valid parts are put together.
var genName = rapid.Custom(func(t *rapid.T) string {
	label := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9-]{1,8}`), rapid.StringMatching(`0[xX][0-9a-fA-F]{0,8}`),
		rapid.SampledFrom([]string{"", "127", "0177", "xn--p1ai", "é", "com"}))
	var text string
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		text = "[" + rapid.StringMatching(`[0-9a-fA-F:.%]{0,20}`).Draw(t, "v6") + "]"
	case 1:
		text = rapid.StringMatching(`(0x|0)?[0-9]{1,3}(\.0?[0-9]{1,3}){0,4}`).Draw(t, "v4")
	default:
		text = strings.Join(rapid.SliceOfN(label, 1, 5).Draw(t, "labels"), ".")
	}
	if rapid.Bool().Draw(t, "port") {
		text += ":" + rapid.StringMatching(`[+0]?[0-9]{0,6}`).Draw(t, "number")
	}
	if at := rapid.IntRange(0, 4*len(text)).Draw(t, "at"); at < len(text) && rapid.Bool().Draw(t, "spoil") {
		text = text[:at] + rapid.SampledFrom([]string{"@", "/", "?", "#", ":", "\\", " ", "%", "\n", "."}).Draw(t, "by") + text[at:]
	}
	return text
})

func TestParseNameProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkInvariants(t, genName.Draw(t, "name")) })
}

// TestParseNameSpellings shows that a host in any case and with the default port
// is one name.
func TestParseNameSpellings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{2,8}){1,3}`).Draw(t, "host")
		want, err := ParseName(text)
		if err != nil {
			t.Fatalf("ParseName(%q): %v", text, err)
		}
		for _, variant := range []string{strings.ToUpper(text), text + ":443", strings.ToTitle(text) + ":443"} {
			if got, err := ParseName(variant); err != nil || got != want {
				t.Errorf("%q: got %q, %v, want %q", variant, got, err, want)
			}
		}
		if got, err := ParseName(text + ":444"); err != nil || got == want {
			t.Errorf("another port: got %q, %v, want another name", got, err)
		}
	})
}

// FuzzParseName holds what the property test holds, from bytes of any kind.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{
		"example.org", "Example.org:443", "127.0.0.1:8443", "0x7f.1", "[::1]:443", "[fe80::1%25eth0]",
		"user@example.org", "example.org:65536", "example.org.", "bücher.example", "[::ffff:127.0.0.1]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) { checkInvariants(t, raw) })
}
