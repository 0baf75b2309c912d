// SPDX-License-Identifier: Apache-2.0

package input

import "strings"

// Address is what was typed as an email address, without what is around it. What
// is inside stays as it is but for the width of the @, blanks and unseen marks
// included: whether there is one address in it, and only one, is package address's
// to say.
func Address(s string) string {
	s = unwrap(s, func(s string) string { return unquote(unname(unlink(s, mailto))) })
	if strings.Contains(s, "@") {
		return s // another one beside it is a second address, or a trick
	}
	return wideAt.Replace(s)
}

// wideAt turns the signs that keyboards of East Asia have into the one that is in
// addresses.
var wideAt = strings.NewReplacer("＠", "@", "﹫", "@")

// unname is the address in "Joe <joe@example.org>", as mail programs copy it. The
// name must not hold what may be another address, and no comma, which may be the
// end of one, unless it is in quotes. A name that is the address itself is what
// mail programs write for want of a name.
func unname(s string) string {
	name, rest, _ := strings.Cut(s, "<")
	address, closed := strings.CutSuffix(rest, ">")
	if !closed || strings.Contains(address, "<") {
		return s
	}
	name = Trim(name)
	bare := unquote(name)
	switch {
	case strings.EqualFold(bare, Address(address)):
	case strings.ContainsAny(bare, `@＠<>"`), bare == name && strings.ContainsAny(name, ",;:"):
		return s
	}
	return address
}
