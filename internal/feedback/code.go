// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"regexp"
	"strings"
)

// status is the grammar of an enhanced status code (RFC 3463 §2), with its
// rule that no number has a leading zero.
const status = `[245]\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2})`

var (
	statusOnly = regexp.MustCompile(`^` + status + `$`)
	// statusWithin finds a code in prose, and not in an IP address, a version
	// or a host name. A reply of several lines glues its code to it (550-5.7.1).
	statusWithin = regexp.MustCompile(`(?:^|[^0-9A-Za-z.\-])(?:[245][0-9]{2}-)?(` + status + `)(?:$|[^0-9A-Za-z.\-]|-[^0-9A-Za-z]|\.$|\.[^0-9A-Za-z])`)
	// reply finds the reply codes of RFC 5321 §4.2.3 and RFC 7504 that a
	// message is refused with; any other three digits may be anything.
	reply = regexp.MustCompile(`(?:^|[^0-9A-Za-z.\-])(421|45[0-5]|50[0-4]|521|541|55[0-6])(?:$|[^0-9A-Za-z.])`)
)

// maxProse is how much of a server's answer is looked at.
const maxProse = 2048

// ParseCode returns the enhanced status code that s is, but for white space
// and a comment after it, or the empty string. Nothing else than a code can
// come out, so it is safe in logs, in pages and as a part of a metric.
func ParseCode(s string) string {
	s, _, _ = strings.Cut(s, "(")
	if s = strings.TrimSpace(s); !statusOnly.MatchString(s) {
		return ""
	}
	return s
}

// FindCode returns the first enhanced status code in a server's answer, else
// the class of its first reply code as X.0.0, else the empty string.
func FindCode(prose string) string {
	prose = prose[:min(len(prose), maxProse)]
	if m := statusWithin.FindStringSubmatch(prose); m != nil {
		return m[1]
	}
	if m := reply.FindStringSubmatch(prose); m != nil {
		return m[1][:1] + ".0.0"
	}
	return ""
}

// BestCode prefers the code that a field was made for, unless that says
// nothing (X.0.0, which some servers write for whatever happened) while the
// server's answer says more.
func BestCode(field, prose string) string {
	code := ParseCode(field)
	if code != "" && !strings.HasSuffix(code, ".0.0") {
		return code
	}
	if found := FindCode(prose); found != "" {
		return found
	}
	return code
}
