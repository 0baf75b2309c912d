// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"net/mail"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// bare reports whether s is an address and nothing else. mail.ParseAddress
// alone accepts comments, names and quoted local parts, and unquotes the last:
// a space would then begin an SMTP parameter.
func bare(s string) bool {
	if len(s) > maxAddress || hasControl(s) || strings.ContainsAny(s, "\"<>() ,;:\\[]") {
		return false
	}
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s
}

// hasControl reports control characters, line and paragraph separators, and
// what is not UTF-8.
func hasControl(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}

func validID(id string) bool {
	inner, ok := strings.CutPrefix(id, "<")
	inner, ok2 := strings.CutSuffix(inner, ">")
	return ok && ok2 && len(id) <= 250 && strings.Count(inner, "@") == 1 && !strings.ContainsFunc(inner, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@.-_", r))
	})
}

// languageTag is what RFC 5646 §2.1 allows, without its registry.
var languageTag = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,7}$`)

// maxUnsubscribe leaves room for the field's name in a line that cannot be
// folded.
const maxUnsubscribe = 900

// validUnsubscribe reports an absolute https URL (RFC 8058 §3.1) of which no
// letter has a meaning in the header. A password in it would be everybody's.
func validUnsubscribe(link string) bool {
	u, err := url.Parse(link)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && len(link) <= maxUnsubscribe &&
		!strings.ContainsFunc(link, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>,\"\\", r) })
}

// setOptional sets the fields that not every mail has, and returns their names
// in lower case.
func setOptional(h textproto.MIMEHeader, m Message) (asked []string) {
	set := func(name, value string) {
		h.Set(name, value)
		asked = append(asked, strings.ToLower(name))
	}
	if m.ListUnsubscribe != "" {
		set("List-Unsubscribe", "<"+m.ListUnsubscribe+">")
		set("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	if m.Language != "" {
		set("Content-Language", m.Language)
	}
	if m.Tag != "" {
		// Postmark and SendGrid hand back what is in these, and not the sender
		// in the envelope. Others leave them alone.
		set("X-PM-Metadata-threepid-tag", m.Tag)
		set("X-SMTPAPI", `{"unique_args":{"threepid-tag":"`+m.Tag+`"}}`)
	}
	return asked
}

// feedbackTag is one that means nothing in a header and nothing in JSON.
var feedbackTag = regexp.MustCompile(`^[0-9a-z]{1,64}$`)
