// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"errors"
	"regexp"
	"strings"
	"unicode"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// maxErrorText bounds what a relay can write into a log, in characters.
const maxErrorText = 300

// shortName is the longest local part that is left in an error on its own: it
// names nobody, and is a word of ordinary text.
const shortName = 2

// addressLike is whatever could be an address, be it ours or another's: relays
// repeat the recipient, and forward to people of whom nobody here knows.
var addressLike = regexp.MustCompile(`[^\s<>"(),;:\[\]]+@[^\s<>"(),;:]+`)

// scrub returns an error whose text has neither an address nor a secret of the
// message, nor one of those besides. The original is not wrapped: whoever unwraps it would have its text.
// The domain alone stays; it names no person as a rule, and without it a
// failing domain is not to be found.
func scrub(err error, m verification.Message, secrets ...string) error {
	text := printable(err.Error())
	text = without(text, m.Address, "[address]")
	text = addressLike.ReplaceAllLiteralString(text, "[address]")
	text = withoutSecrets(text, m, secrets)
	if local, _, _ := strings.Cut(m.Address, "@"); len(local) > shortName {
		text = without(text, local, "[address]")
	}
	return errors.New(bounded(text))
}

// quoting is an error that knows what a relay or a gateway has said, in its own
// words, which may repeat addresses.
type quoting interface {
	error
	Said() string
}

// said is what the operator is told who has named the address: the words of the
// relay too, if they are known. It has no secret of the message.
func said(err error, m verification.Message, secrets ...string) string {
	text := err.Error()
	if q, ok := errors.AsType[quoting](err); ok && !strings.Contains(text, q.Said()) { // it contains what is empty
		text += ": " + q.Said()
	}
	return bounded(withoutSecrets(printable(text), m, secrets))
}

// softBreak ends a line of a mail in the middle of a word (RFC 2045 §6.7), of a token, too;
// a quoted mail has it as it is, escaped, or as blanks.
var softBreak = regexp.MustCompile(`=(\r?\n|\\r\\n|\\n|  )`)

// printable puts blanks in the place of what moves the cursor or ends a line.
func printable(text string) string {
	text = softBreak.ReplaceAllLiteralString(text, "")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

func withoutSecrets(text string, m verification.Message, more []string) string {
	for _, secret := range append([]string{m.ID, string(m.SID), string(m.Token), string(m.Refusal)}, more...) {
		text = without(text, secret, "[secret]")
	}
	return text
}

func bounded(text string) string {
	if runes := []rune(text); len(runes) > maxErrorText {
		text = string(runes[:maxErrorText]) + "…"
	}
	return text
}

// without replaces a text in all its spellings, upper and lower case.
func without(text, secret, by string) string {
	if secret == "" {
		return text
	}
	return regexp.MustCompile(`(?i)`+regexp.QuoteMeta(secret)).ReplaceAllLiteralString(text, by)
}
