// SPDX-License-Identifier: Apache-2.0

package dsn

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"regexp"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// Limits of the structure of a mail.
const (
	maxDepth = 4
	maxParts = 32
)

// finding is what was found in the parts of a mail, the first of each.
type finding struct {
	status    []byte // of message/delivery-status
	complaint []byte // of message/feedback-report
	messageID string // of the message that the report is about
	parts     int
}

// walk looks at an entity and the parts of it. It does not descend into the
// returned message: a bounce inside of a bounce is about something else.
func (f *finding) walk(h header, body []byte, depth int) {
	if f.parts++; f.parts > maxParts {
		return
	}
	kind, boundary := contentType(h["content-type"])
	if strings.HasPrefix(kind, "multipart/") {
		if boundary != "" && depth < maxDepth {
			f.descend(body, boundary, depth+1)
		}
		return
	}
	decoded := func() []byte { return decode(body, h["content-transfer-encoding"]) }
	switch kind {
	case "message/delivery-status", "message/global-delivery-status":
		if f.status == nil {
			f.status = decoded()
		}
	case "message/feedback-report":
		if f.complaint == nil {
			f.complaint = decoded()
		}
	case "message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers":
		if f.messageID == "" {
			head, _ := splitHeader(decoded())
			f.messageID = feedback.CleanMessageID(parseHeader(head)["message-id"])
		}
	}
}

// descend looks at the parts of a multipart, up to where it breaks off.
func (f *finding) descend(body []byte, boundary string, depth int) {
	for r := multipart.NewReader(bytes.NewReader(body), boundary); f.parts <= maxParts; {
		part, err := r.NextRawPart()
		if err != nil {
			return
		}
		// A part that was cut off is read as far as it goes.
		content, err := io.ReadAll(part)
		h := header{}
		for name, values := range part.Header {
			h[strings.ToLower(name)] = values[0]
		}
		f.walk(h, content, depth)
		if err != nil {
			return
		}
	}
}

// bareBoundary finds a boundary among parameters that are not in the grammar
// of RFC 2045 §5.1.
var bareBoundary = regexp.MustCompile(`(?i)boundary\s*=\s*"?([^";]{1,70})`)

func contentType(field string) (kind, boundary string) {
	kind, params, err := mime.ParseMediaType(field)
	if err != nil {
		before, _, _ := strings.Cut(field, ";")
		kind = strings.ToLower(strings.TrimSpace(before))
		if m := bareBoundary.FindStringSubmatch(field); m != nil {
			return kind, strings.TrimSpace(m[1])
		}
	}
	return kind, params["boundary"]
}

// decode undoes a transfer encoding and bounds the result. What is broken is
// read as far as it goes.
func decode(body []byte, encoding string) []byte {
	var r io.Reader = bytes.NewReader(body)
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	}
	out, _ := io.ReadAll(io.LimitReader(r, maxHeader))
	return out
}
