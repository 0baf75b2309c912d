// SPDX-License-Identifier: Apache-2.0

package route

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// MaxOddPath bounds a path that parsers may read differently, in bytes: each of its
// readings costs time. The longest names that Matrix has make no longer ones.
const MaxOddPath = 1 << 10

// maxReadings bounds how many readings are looked at. A name that holds whatever
// parsers dislike has fewer, unless it was escaped more than once.
const maxReadings = 32

// suspicious reports whether a path, which is not one of ours as it stands, may be
// read as one by somebody.
func (rt *Router) suspicious(p string) bool {
	if len(p) > MaxOddPath {
		return true
	}
	all, ok := readings(p)
	return !ok || slices.ContainsFunc(all, func(p string) bool { return rt.match(p, fold).Kind != KindNone })
}

// leniencies are what lenient parsers do to a path, in the order in which it is
// done; each of them may be left out.
var leniencies = []func(string) string{
	DecodeOnce, DecodeOnce, DecodeOnce,
	dropBlanks,
	func(p string) string { return strings.ReplaceAll(p, `\`, "/") },
	cutParameters,
	removeDots,
	clean,
}

// readings are the ways in which lenient parsers read a path; ok is false if there
// are too many.
func readings(p string) (all []string, ok bool) {
	all = []string{p}
	for _, lenient := range leniencies {
		for _, one := range all { // as many as there are at this moment
			if other := lenient(one); other != one && !slices.Contains(all, other) {
				if all = append(all, other); len(all) > maxReadings {
					return all[:maxReadings], false
				}
			}
		}
	}
	return all, true
}

// Loosen applies all of that at once.
func Loosen(p string) string {
	for _, lenient := range leniencies {
		p = lenient(p)
	}
	return p
}

// DecodeOnce decodes as parsers do that leave alone what is no escape.
func DecodeOnce(p string) string {
	i := strings.IndexByte(p, '%')
	if i < 0 {
		return p
	}
	b := append(make([]byte, 0, len(p)), p[:i]...)
	for ; i < len(p); i++ {
		if p[i] == '%' && i+2 < len(p) {
			high, ok := unhex(p[i+1])
			low, also := unhex(p[i+2])
			if ok && also {
				b = append(b, high<<4|low)
				i += 2
				continue
			}
		}
		b = append(b, p[i])
	}
	return string(b)
}

// unhex is the value of a hexadecimal digit.
func unhex(c byte) (value byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// dropBlanks removes white space and control characters.
func dropBlanks(p string) string {
	if !strings.ContainsFunc(p, blank) {
		return p
	}
	return strings.Map(func(r rune) rune {
		if blank(r) {
			return -1
		}
		return r
	}, p)
}

func blank(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xa0 || r == 0xfeff }

// cutParameters drops matrix parameters.
func cutParameters(p string) string {
	if !strings.Contains(p, ";") {
		return p
	}
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

// removeDots resolves dots as RFC 3986 (5.2.4) does: an empty segment is one, and
// two dots remove it.
func removeDots(p string) string {
	if strings.HasPrefix(p, "/") && !strings.Contains(p, "/.") {
		return p
	}
	var kept []string
	for s := range strings.SplitSeq(strings.TrimPrefix(p, "/"), "/") {
		switch {
		case s == "..":
			kept = kept[:max(0, len(kept)-1)]
		case s != ".":
			kept = append(kept, s)
		}
	}
	return "/" + strings.Join(kept, "/")
}

// clean is what Go, and Caddy, make of a path.
func clean(p string) string { return path.Clean("/" + p) }

// MayBeBelow reports whether a path that does not lie below a prefix as it stands
// may be read so.
func (rt *Router) MayBeBelow(u *url.URL) bool {
	under := func(p string) bool {
		return slices.ContainsFunc(rt.Prefixes, func(prefix string) bool {
			_, ok := cutPrefix(p, prefix+"/", fold)
			return ok
		})
	}
	if Plain(u) {
		return under(u.Path)
	}
	all, _ := readings(u.Path) // classify has refused what has too many
	return slices.ContainsFunc(all, under)
}
