// SPDX-License-Identifier: Apache-2.0

package dsn

import (
	"errors"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// MaxMessage bounds a mail, in bytes.
const MaxMessage = 1 << 20

var (
	// ErrNotReport is returned for a mail that is no report.
	ErrNotReport = errors.New("mail is not a report")
	// ErrTooLarge is returned for a mail over [MaxMessage].
	ErrTooLarge = errors.New("mail is too large")
)

// Parse returns what a mail reports of the message that the tag stands for.
// The tag is that of the mail's envelope recipient. A report that is of no
// interest (a message that was relayed, a reader who says "not spam") yields
// neither reports nor an error.
func Parse(raw []byte, tag string, now time.Time) ([]feedback.Report, error) {
	if len(raw) > MaxMessage {
		return nil, ErrTooLarge
	}
	head, body := splitHeader(raw)
	top := parseHeader(head)
	found := &finding{}
	found.walk(top, body, 0)

	var reports []feedback.Report
	switch {
	case found.status != nil:
		reports = statusReports(found.status)
	case found.complaint != nil:
		reports = complaintReports(found.complaint)
	case top["x-failed-recipients"] != "":
		reports = eximReports(top, body)
	default:
		return nil, ErrNotReport
	}
	for i := range reports {
		complete(&reports[i], tag, found.messageID, top, now)
	}
	return reports, nil
}

// complete fills in what is the same for all reports of a mail. The time of
// the mail stands in for a missing one, so that the same mail, delivered
// again, is the same report.
func complete(r *feedback.Report, tag, messageID string, top header, now time.Time) {
	r.VERPTag, r.MessageID = tag, messageID
	if r.At.IsZero() {
		r.At = date(top["date"])
	}
	if r.At.IsZero() || r.At.After(now) {
		r.At = now.UTC()
	}
	r.ID = strings.Join([]string{tag, r.Kind.String(), r.Code, strconv.FormatInt(r.At.Unix(), 10)}, "|")
}

// date reads a time of RFC 5322 §3.3; one that is none is the zero time.
func date(s string) time.Time {
	if s == "" || len(s) > 128 {
		return time.Time{}
	}
	at, err := mail.ParseDate(s)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// eximReports reads a bounce of Exim before it knew RFC 3464 (4.80 and older).
// Exim writes it when it has given up; why stands in prose only.
func eximReports(top header, body []byte) []feedback.Report {
	addresses := strings.Split(top["x-failed-recipients"], ",")
	addresses = addresses[:min(len(addresses), maxRecipients)]
	code := feedback.FindCode(string(body[:min(len(body), maxHeader)]))
	reports := make([]feedback.Report, 0, len(addresses))
	for _, address := range addresses {
		reports = append(reports, feedback.Report{
			Kind: feedback.Bounce, Permanent: strings.HasPrefix(code, "5."), Code: code,
			Address: feedback.CleanAddress(address),
		})
	}
	return reports
}
