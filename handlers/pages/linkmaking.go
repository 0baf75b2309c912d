// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Link is the link of a mail: the page that asks its reader to confirm. Without a
// token it is the page that asks for a code.
func Link(publicURL, sid, token string) string {
	return publicURL + route.PagePath(verification.Email) + "?" + Query("sid", sid, "token", token)
}

// RefuseLink is the link of that name. It is also what List-Unsubscribe names.
func RefuseLink(publicURL, sid, refusal string) string {
	return publicURL + route.RefusePath + "?" + Query("sid", sid, "refusal", refusal)
}

// HelpQuery leads from a page to the one that says why no message has arrived.
func HelpQuery(sub verification.Submission) string {
	secret := ""
	if sub.ClientSecret != nil {
		secret = *sub.ClientSecret
	}
	return Query("sid", sub.SID, "client_secret", secret, "help", "1")
}

// Query writes the query of a link in the order in which it is given;
// what is empty is left out. Mail programs that look for links in a text take a
// punctuation mark at the end for one of the sentence's, so that no link may end
// in one: a sid can, a secret of 32 bytes in base64 cannot, for its last digit has
// two bits to spare. Where what is last could, a parameter without a meaning is.
func Query(pairs ...string) string {
	var b strings.Builder
	add := func(name, value string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name + "=" + url.QueryEscape(value))
	}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			add(pair[0], pair[1])
		}
	}
	if q := b.String(); q != "" && !letterOrDigit(rune(q[len(q)-1])) {
		add("end", "1")
	}
	return b.String()
}

func letterOrDigit(c rune) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// SeenField says in an address what has just become of a form that led there. It is
// sealed, for an hour: nobody can make up a page that says so, and whoever has the seal
// has shown the token, which stays out of the address, for a server's answers are in
// more logs than links are.
const SeenField = "seen"
