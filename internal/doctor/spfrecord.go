// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

var errSPFSyntax = errors.New("invalid SPF record")

// spfRecord is a parsed record (RFC 7208 §4.6, §12).
type spfRecord struct {
	terms    []spfTerm
	redirect string
}

// spfTerm is one mechanism.
type spfTerm struct {
	qualifier byte // one of + - ~ ?
	name      string
	// domain is empty for the domain of the record itself. With a "%" in it, it
	// depends on the message.
	domain string
	net    netip.Prefix // of ip4 and ip6
	v4, v6 int          // prefix lengths of a and mx
}

// macro reports whether the term depends on the message.
func (t spfTerm) macro() bool { return strings.Contains(t.domain, "%") }

// looksUp reports whether receivers count the term (RFC 7208 §4.6.4).
func (t spfTerm) looksUp() bool {
	return slices.Contains([]string{"include", "a", "mx", "ptr", "exists"}, t.name)
}

// includesForeign reports whether a record includes that of another
// organisation.
func (r *spfRecord) includesForeign(ours string) bool {
	foreign := func(domain string) bool { return domain != "" && organisational(domain) != ours }
	return foreign(r.redirect) || slices.ContainsFunc(r.terms, func(t spfTerm) bool {
		return t.name == "include" && foreign(t.domain)
	})
}

// parseSPF reads a record that begins with "v=spf1".
func parseSPF(text string) (*spfRecord, error) {
	record := &spfRecord{}
	for i, word := range strings.Fields(text) {
		if i == 0 {
			continue // the version
		}
		if name, value, ok := modifier(word); ok {
			if name == "redirect" {
				if value == "" || record.redirect != "" {
					return nil, fmt.Errorf("%w: %q", errSPFSyntax, word)
				}
				record.redirect = domainName(value)
			}
			continue // RFC 7208 §6: others are ignored
		}
		term, err := parseTerm(word)
		if err != nil {
			return nil, err
		}
		record.terms = append(record.terms, term)
	}
	return record, nil
}

// modifier tells "name=value" from a mechanism, which may have a "=" only after
// a colon or a slash.
func modifier(word string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(word, "=")
	if !ok || strings.ContainsAny(name, ":/") {
		return "", "", false
	}
	return strings.ToLower(name), value, true
}

func parseTerm(word string) (spfTerm, error) {
	broken := fmt.Errorf("%w: %q", errSPFSyntax, word)
	term := spfTerm{qualifier: '+', v4: 32, v6: 128}
	rest := word
	if strings.IndexByte("+-~?", rest[0]) >= 0 {
		term.qualifier, rest = rest[0], rest[1:]
	}
	end := strings.IndexAny(rest, ":/")
	if end < 0 {
		end = len(rest)
	}
	term.name, rest = strings.ToLower(rest[:end]), rest[end:]
	value, given := strings.CutPrefix(rest, ":")
	if given && value == "" {
		return term, broken
	}
	ok := false
	switch term.name {
	case "all":
		ok = rest == ""
	case "ip4", "ip6":
		term.net, ok = parseNet(value, term.name == "ip4")
	case "include", "exists":
		term.domain, ok = domainName(value), given
	case "ptr":
		term.domain, ok = domainName(value), given || rest == ""
	case "a", "mx":
		ok = term.parseDual(value)
	}
	if !ok {
		return term, broken
	}
	return term, nil
}

func parseNet(value string, v4 bool) (netip.Prefix, bool) {
	if !strings.Contains(value, "/") {
		ip, err := netip.ParseAddr(value)
		if err != nil || ip.Is4() != v4 || ip.Zone() != "" {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(ip, ip.BitLen()), true
	}
	p, err := netip.ParsePrefix(value)
	return p, err == nil && p.Addr().Is4() == v4
}

// parseDual reads "domain/24//64", of which every part may be missing.
func (t *spfTerm) parseDual(value string) bool {
	rest, six, dual := strings.Cut(value, "//")
	domain, four, single := strings.Cut(rest, "/")
	t.domain = domainName(domain)
	ok4, ok6 := true, true
	if single {
		t.v4, ok4 = prefixLength(four, 32)
	}
	if dual {
		t.v6, ok6 = prefixLength(six, 128)
	}
	return ok4 && ok6
}

func prefixLength(text string, most int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= most && text == strconv.Itoa(n)
}
