// SPDX-License-Identifier: Apache-2.0

package dsn

import (
	"bytes"
	"strings"
)

// maxHeader bounds a header, in bytes.
const maxHeader = 64 << 10

// header is the fields of a header, names in lower case; of a field that comes
// more than once the first counts.
type header map[string]string

// splitHeader separates a header from what follows. A header without an end is
// one without a body.
func splitHeader(raw []byte) (head, body []byte) {
	if bytes.HasPrefix(raw, []byte("\n")) {
		return nil, raw[1:]
	}
	if bytes.HasPrefix(raw, []byte("\r\n")) {
		return nil, raw[2:]
	}
	lf, crlf := bytes.Index(raw, []byte("\n\n")), bytes.Index(raw, []byte("\n\r\n"))
	switch {
	case crlf >= 0 && (lf < 0 || crlf < lf):
		return raw[:crlf+1], raw[crlf+3:]
	case lf >= 0:
		return raw[:lf+1], raw[lf+2:]
	default:
		return raw, nil
	}
}

// parseHeader reads what it can. net/mail refuses a whole message for one line
// that is no field, and some gateways add such a line.
func parseHeader(raw []byte) header {
	h := header{}
	for name, value := range fields(raw) {
		if _, twice := h[name]; !twice {
			h[name] = value
		}
	}
	return h
}

// fields yields the unfolded fields (RFC 5322 §2.2.3) in their order.
func fields(raw []byte) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		raw = raw[:min(len(raw), maxHeader)]
		var name string
		var value strings.Builder
		flush := func() bool { return name == "" || yield(name, strings.TrimSpace(value.String())) }
		for line := range bytes.Lines(raw) {
			line = bytes.TrimRight(line, "\r\n")
			if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
				value.WriteByte(' ')
				value.Write(bytes.TrimSpace(line))
				continue
			}
			if !flush() {
				return
			}
			name = ""
			value.Reset()
			before, after, found := bytes.Cut(line, []byte(":"))
			if before = bytes.TrimRight(before, " \t"); !found || len(before) == 0 || bytes.ContainsAny(before, " \t") {
				continue // "From " of an mbox, or no field at all
			}
			name = strings.ToLower(string(before))
			value.Write(after)
		}
		flush()
	}
}
