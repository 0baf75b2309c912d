// SPDX-License-Identifier: Apache-2.0

package address

import (
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// Spellings are the ways in which a homeserver may have a mailbox that somebody has
// typed, of which the canonical form is known: in lower case as it was typed, which is
// how Synapse up to 1.3.1 keeps what it is given; in canonical form; with the domain in
// its own script; and decomposed. Whoever proves one of them has proven all. Nearly
// every address has only one.
//
// The one that was typed comes first: where two accounts have the mailbox, each is
// found by its own spelling. What was typed may be unknown, and empty.
func Spellings(typed, canonical string) []string {
	return of(canonical, append([]string{lower(typed)}, variants(canonical)...))
}

// IsSpelling reports whether a text names the mailbox with a canonical form.
func IsSpelling(text, canonical string) bool {
	mailbox, err := Email(text)
	return err == nil && mailbox == canonical
}

// Alike are the spellings of the other mailbox that a homeserver, or a mail server,
// may take this one for, because it folds case in full: straße is strasse to it. It
// is another mailbox all the same, and to prove one of them proves nothing about the
// other. Nearly every address is alike to none.
func Alike(canonical string) []string {
	folded, _ := Email(foldCase(canonical)) // empty if it is none, and so are its spellings
	if folded == canonical {
		return nil
	}
	return of(folded, variants(folded))
}

// Folds reports whether an address in canonical form is that of another mailbox, or of
// none, once its case is folded in full. Cherokee folds to capitals, and is the same.
func Folds(canonical string) bool {
	folded, _ := Email(foldCase(canonical))
	return folded != canonical
}

// foldCase is an address in canonical form with its local part case-folded in full
// (MSC2265), as Synapse does since 1.19. It is for comparing and counting.
func foldCase(canonical string) string {
	local, domain, found := strings.Cut(canonical, "@")
	if !found {
		return canonical
	}
	return stable(fold, local) + "@" + domain
}

// variants are the spellings of a canonical address that follow from it alone.
func variants(canonical string) []string {
	local, domain, _ := strings.Cut(canonical, "@")
	own, _ := idna.Punycode.ToUnicode(domain) // what is none falls out later
	apart := norm.NFD.String(local)
	ownApart := norm.NFD.String(own)
	return []string{
		canonical, local + "@" + own, local + "@" + ownApart,
		apart + "@" + domain, apart + "@" + own, apart + "@" + ownApart,
	}
}

// of are the spellings in a list of the mailbox with a canonical form, each once. In
// lower case it may be another domain (ẞ is ss there, and ß is not), and decomposed it
// may be no address (≮ has a < in it).
func of(canonical string, list []string) []string {
	var kept []string
	for _, s := range list {
		if IsSpelling(s, canonical) && !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// lower is the full mapping to lower case (Unicode §3.13, toLowercase), with the
// sigma that ends a word, as Python's str.lower, by which Synapse keeps addresses.
func lower(s string) string { return cases.Lower(language.Und).String(s) }

// stable maps the case of a text such that mapping it again changes nothing. A mapping
// can undo the normal form and normalising can undo the mapping; the pair is
// stable after the second round (Unicode §3.13, D145).
func stable(mapping func(string) string, s string) string {
	for range 2 {
		s = norm.NFC.String(mapping(norm.NFC.String(s)))
	}
	return s
}
