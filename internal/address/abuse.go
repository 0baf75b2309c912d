// SPDX-License-Identifier: Apache-2.0

package address

import "strings"

// provider is what a mail provider takes for the same mailbox.
type provider struct {
	// domain is the one that its mailboxes are counted under.
	domain string
	// ignores are characters that make no difference before the @.
	ignores string
	// below says that x@name.domain is the mailbox name@domain.
	below bool
}

// providers are those that are known to take several spellings for one mailbox, beside
// tags, by their domains: support.google.com/mail/answer/7436150,
// proton.me/support/creating-aliases, support.apple.com/102540 and
// www.fastmail.help/hc/en-us/articles/360060591053.
var providers = map[string]provider{
	"gmail.com": {domain: "gmail.com", ignores: "."}, "googlemail.com": {domain: "gmail.com", ignores: "."},
	"proton.me": {domain: "proton.me", ignores: ".-_"}, "protonmail.com": {domain: "proton.me", ignores: ".-_"}, "pm.me": {domain: "proton.me", ignores: ".-_"},
	"icloud.com": {domain: "icloud.com"}, "me.com": {domain: "icloud.com"}, "mac.com": {domain: "icloud.com"},
	"fastmail.com": {domain: "fastmail.com", below: true}, "fastmail.fm": {domain: "fastmail.fm", below: true},
}

// owned returns the mailbox that all names below a name at a provider lead to, and the
// provider's domain.
func owned(domain string) (name, provider string) {
	above := domain
	for found := true; found; {
		name, above, found = strings.Cut(above, ".")
		if found && providers[above].below {
			return name, above
		}
	}
	return "", ""
}

// AbuseKey is what the limits count a canonical address under: the spellings
// that one mailbox is known to have, with tags ("+tag"), with dots, below a domain and with case
// folded in full, count as one. It is for counting only. Mail goes to the address itself, and so does
// the proof: at some servers a tag names another person's mailbox.
func AbuseKey(canonical string) string {
	local, domain, found := strings.Cut(foldCase(canonical), "@")
	if !found {
		return canonical
	}
	if name, above := owned(domain); name != "" {
		local, domain = name, above
	}
	if plain, _, _ := strings.Cut(local, "+"); plain != "" {
		local = plain
	}
	if p, ok := providers[domain]; ok {
		domain = p.domain
		plain := strings.Map(func(r rune) rune {
			if strings.ContainsRune(p.ignores, r) {
				return -1
			}
			return r
		}, local)
		if plain != "" {
			local = plain
		}
	}
	return local + "@" + domain
}
