// SPDX-License-Identifier: Apache-2.0

package dsn

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// maxRecipients bounds the recipients of one report. Our messages have one.
const maxRecipients = 16

// statusReports reads a delivery status: a group of fields about the message,
// then one about each recipient (RFC 3464 §2.1).
func statusReports(raw []byte) []feedback.Report {
	var reports []feedback.Report
	for _, group := range groups(raw) {
		if len(reports) == maxRecipients {
			break
		}
		if r, ok := recipientReport(group); ok {
			reports = append(reports, r)
		}
	}
	return reports
}

// groups splits a delivery status. A second Final-Recipient begins a group
// even where the blank line is missing.
func groups(raw []byte) []header {
	all := []header{{}}
	for chunk := range blankSeparated(raw) {
		all = append(all, header{})
		for name, value := range fields(chunk) {
			last := all[len(all)-1]
			if _, twice := last[name]; twice && name == "final-recipient" {
				last = header{}
				all = append(all, last)
			}
			if _, twice := last[name]; !twice {
				last[name] = value
			}
		}
		if len(all) > 4*maxRecipients {
			break
		}
	}
	return all
}

// blankSeparated yields the runs of lines between blank ones.
func blankSeparated(raw []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		start, at := 0, 0
		for line := range bytes.Lines(raw) {
			end := at + len(line)
			if len(bytes.TrimSpace(line)) == 0 {
				if start < at && !yield(raw[start:at]) {
					return
				}
				start = end
			}
			at = end
		}
		if start < at {
			yield(raw[start:at])
		}
	}
}

// recipientReport is what one group says. Relayed and expanded messages are
// out of sight, not delivered (RFC 3464 §2.3.3): that is no news.
func recipientReport(group header) (feedback.Report, bool) {
	if group["final-recipient"] == "" && group["original-recipient"] == "" && group["action"] == "" {
		return feedback.Report{}, false
	}
	r := feedback.Report{
		Code: feedback.BestCode(group["status"], group["diagnostic-code"]),
		At:   date(group["last-attempt-date"]),
	}
	switch action(group["action"], r.Code) {
	case "failed":
		r.Kind, r.Permanent = feedback.Bounce, strings.HasPrefix(r.Code, "5.")
	case "delayed":
		r.Kind = feedback.Deferred
	case "delivered":
		r.Kind = feedback.Delivered
	default:
		return feedback.Report{}, false
	}
	// What we addressed is the original recipient; the final one may be where
	// it was forwarded to.
	if r.Address = recipient(group["original-recipient"]); r.Address == "" {
		r.Address = recipient(group["final-recipient"])
	}
	return r, true
}

// action reads the Action field, whose absence the class of the status makes
// good for.
func action(field, code string) string {
	field, _, _ = strings.Cut(field, "(")
	if field = strings.ToLower(strings.TrimSpace(field)); field != "" {
		return field
	}
	class, _, _ := strings.Cut(code, ".")
	return map[string]string{"5": "failed", "4": "delayed", "2": "delivered"}[class]
}

// recipient reads an address behind its type, "rfc822;" mostly.
func recipient(field string) string {
	kind, value, found := strings.Cut(field, ";")
	if !found {
		kind, value = "rfc822", field
	}
	value = strings.TrimSpace(value)
	if strings.EqualFold(strings.TrimSpace(kind), "rfc822") && feedback.CleanAddress(value) == "" {
		return "" // before unescaping, which must not make one of it
	}
	if address := feedback.CleanAddress(unxtext(value)); address != "" {
		return address
	}
	return feedback.CleanAddress(value)
}

// unxtext undoes the encoding of an ORCPT parameter (RFC 3461 §4), which
// servers copy into Original-Recipient as it is. An address with a plus sign
// that was never encoded stays what it was.
func unxtext(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '+' && i+2 < len(s) && upperHex(s[i+1]) && upperHex(s[i+2]) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil && n > ' ' && n < 0x7f {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func upperHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' }
