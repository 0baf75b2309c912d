// SPDX-License-Identifier: Apache-2.0

package dsn

import (
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// complaintReports reads a feedback report (RFC 5965 §3). Readers who say
// "not spam" (RFC 6430) and servers that report a failed check of DKIM, SPF or
// DMARC (RFC 6591) do not complain about the mail.
func complaintReports(raw []byte) []feedback.Report {
	h := parseHeader(raw)
	kind, _, _ := strings.Cut(h["feedback-type"], "(")
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "abuse", "fraud", "opt-out":
	default:
		return nil
	}
	r := feedback.Report{Kind: feedback.Complaint, At: date(h["arrival-date"])}
	if r.At.IsZero() {
		r.At = date(h["received-date"])
	}
	if r.Address = feedback.CleanAddress(h["original-rcpt-to"]); r.Address == "" {
		r.Address = feedback.CleanAddress(h["removal-recipient"])
	}
	return []feedback.Report{r}
}
