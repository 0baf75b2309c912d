// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
)

// Kind is what a report says has happened.
type Kind uint8

// The four kinds of reports. The zero value is none of them.
const (
	// Bounce: the message will not arrive.
	Bounce Kind = iota + 1
	// Complaint: the reader called the message spam.
	Complaint
	// Delivered: the reader's server took the message.
	Delivered
	// Deferred: the reader's server asked to come back later.
	Deferred
)

// String names the kind as metrics do; what is no kind is "none".
func (k Kind) String() string {
	switch k {
	case Bounce:
		return "bounce"
	case Complaint:
		return "complaint"
	case Delivered:
		return "delivered"
	case Deferred:
		return "deferred"
	default:
		return "none"
	}
}

// Provider says where a report came from.
type Provider string

// Every provider there is; the set is closed, because it labels metrics.
const (
	SES      Provider = "ses"
	Postmark Provider = "postmark"
	Mailgun  Provider = "mailgun"
	SendGrid Provider = "sendgrid"
	// Mail is a report that came as mail: nobody vouches for what is in it.
	Mail Provider = "mail"
)

// TagField is the name under which our tag may be attached to a message for
// the services that hand such data back (Postmark metadata, Mailgun variables,
// SendGrid unique arguments, SES message tags). It is needed where a service
// neither keeps the Message-ID nor the envelope sender.
const TagField = "threepid-tag"

// Report is one piece of news about one message to one address.
type Report struct {
	Kind Kind
	// Permanent is set on a Bounce if trying again is said to be useless.
	Permanent bool
	// Address is in canonical form, or empty if the report names none that is.
	Address string
	// MessageID is that of our message, without angle brackets.
	MessageID string
	// VERPTag is what was between prefix and domain of the envelope sender.
	VERPTag string
	// Code is an enhanced status code (RFC 3463), or empty.
	Code string
	// At is when it happened; the zero time means that nobody said.
	At time.Time
	// ID is the same in every repetition of this report, and different in
	// every other report of the same provider.
	ID string
}

// Hard reports whether the bounce says that the address itself is bad, so that
// any later message would bounce as well. A full mailbox (X.2.2), a message
// that is too long (X.2.3, X.3.4), a relay that is not served (X.3.0 to X.3.5),
// trouble on the way (X.4.4, X.4.7) and everything that was refused for policy
// (X.7.x: our reputation, not the reader's address) may be another thing
// tomorrow, even if the server called it permanent.
func (r Report) Hard() bool {
	if r.Kind != Bounce || !r.Permanent {
		return false
	}
	class, rest, found := strings.Cut(r.Code, ".")
	if !found {
		return true // permanent, and no code to say otherwise
	}
	subject, _, _ := strings.Cut(rest, ".")
	switch {
	case class != "5", subject == "3", subject == "7":
		return false
	case rest == "2.2", rest == "2.3", rest == "4.4", rest == "4.7":
		return false
	}
	return true
}

// maxMessageID is longer than any Message-ID of ours.
const maxMessageID = 255

// CleanMessageID takes off the angle brackets. What is not a Message-ID in the
// simple form that ours have (RFC 5322 §3.6.4, dot-atoms) becomes empty.
func CleanMessageID(s string) string {
	s = strings.TrimSpace(s)
	if inner, ok := strings.CutPrefix(s, "<"); ok {
		s = strings.TrimSuffix(inner, ">")
	}
	left, right, found := strings.Cut(s, "@")
	if !found || left == "" || right == "" || len(s) > maxMessageID || strings.Contains(right, "@") {
		return ""
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`<>()[]\,;:"`, c) >= 0 {
			return ""
		}
	}
	return s
}

// CleanAddress returns the canonical form of an address as reports write them,
// with or without angle brackets, or empty for what is none.
func CleanAddress(s string) string {
	s = strings.TrimSpace(s)
	if inner, ok := strings.CutPrefix(s, "<"); ok {
		s = strings.TrimSuffix(inner, ">")
	}
	canonical, err := address.Email(s)
	if err != nil {
		return ""
	}
	return canonical
}
