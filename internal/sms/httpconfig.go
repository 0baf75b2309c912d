// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/x509"
	"time"
)

// The kinds of a request's [Body].
const (
	BodyNone  = "none"  // no body
	BodyQuery = "query" // no body; the fields join the query of the URL
	BodyForm  = "form"  // application/x-www-form-urlencoded
	BodyJSON  = "json"  // application/json
	BodyText  = "text"  // text/plain
)

// Limits of an [HTTP] gateway.
const (
	DefaultHTTPTimeout = 15 * time.Second
	maxAnswer          = 64 << 10 // bytes of an answer that are read
	maxHeader          = 16 << 10
	maxWait            = time.Hour // the longest Retry-After that is believed
	maxMessageID       = 256
)

// HTTPConfig describes the request that hands over one message, and what its
// answer means. In the URL, in the values of headers and in the body these
// placeholders can be used:
//
//	{to}          the number, digits only
//	{plus_to}     the number with "+" before it
//	{from}        the originator, or nothing
//	{text}        the message
//	{id}          the same for every try of one message
//	{receipt_url} where receipts go, or nothing
//	{unicode}     "true" or "false", or UnicodeWord or PlainWord
//	{segments}    how many parts the message has
//
// Each is escaped for where it stands. A field (of a form, a query, a header or
// a JSON document) that is nothing but a placeholder that stands for nothing is
// left out, and so is one that names {receipt_url} while there is none.
type HTTPConfig struct {
	// URL begins with https://; plain http is for this machine (see AllowPlain).
	URL string
	// Method is GET, POST or PUT. Default: GET for a body of none or query,
	// else POST.
	Method  string
	Headers map[string][]string
	Body    Body
	// BasicUser and BasicPassword, or Bearer, or Authorization (the whole value
	// of that header) are the credentials. They know no placeholders.
	BasicUser, BasicPassword string
	Bearer                   string
	Authorization            string
	// UnicodeWord and PlainWord are what {unicode} stands for, if one of them is
	// set: for gateways that say "unicode" and "text", or 2 and nothing.
	UnicodeWord, PlainWord string

	// Success is what an answer is like that takes the message. Statuses
	// default to 200 to 299.
	Success Match
	// Refusals are what answers are like that do not, by the first that matches.
	// They are looked at before Success. What none of them matches is judged by
	// its status.
	Refusals []Refusal
	// MessageID says where the answer names the message.
	MessageID Source

	// Timeout bounds the request from the look-up of the name to the last byte
	// of the answer. Default: [DefaultHTTPTimeout].
	Timeout time.Duration
	// CAs are the authorities that vouch for the gateway. Default: the system's.
	CAs *x509.CertPool
	// AllowPlain lets plain http leave this machine: everybody on the way can
	// read numbers, codes and credentials.
	AllowPlain bool
}

// Body is the body of a request.
type Body struct {
	// Type is one of the kinds. Default: form if there are fields, else none.
	Type string
	// Fields are those of a form, of a query, or of a flat JSON object.
	Fields []Field
	// Template is a JSON document with placeholders in its strings; or, for a
	// text, one placeholder.
	Template string
}

// Field is one field of a body.
type Field struct {
	Name, Value string
	// Literal says that Value knows no placeholders: a password may hold braces.
	Literal bool
}

// Match is what an answer is like. Everything that is set must hold.
type Match struct {
	// Statuses are HTTP statuses.
	Statuses []int
	// Pointer is a JSON pointer (RFC 6901) into the answer. It must lead to one
	// of Values or, if there are none, to a value at all.
	Pointer string
	Values  []string
	// Prefixes are beginnings of the answer. One of them must be there.
	Prefixes []string
}

// Refusal is an answer that does not take the message, and what it means:
// [ReasonRejected] (this number or message is refused; no other gateway is
// asked), [ReasonAuth], [ReasonCredit], [ReasonAnswer] (it does not understand
// the request), [ReasonRate] or [ReasonGateway].
type Refusal struct {
	Match
	Reason string
}

// Source is a place in an answer. At most one is set.
type Source struct {
	Pointer string // a JSON pointer (RFC 6901)
	Header  string
}
