// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

// headerOrder is the order of fields that readers of raw mail expect. Those of
// optionalFields are there if they were asked for.
var (
	headerOrder = []string{
		"date", "from", "to", "subject", "message-id", "auto-submitted", "x-auto-response-suppress",
		"list-unsubscribe", "list-unsubscribe-post", "content-language", "x-pm-metadata-threepid-tag", "x-smtpapi",
		"mime-version", "content-type",
	}
	optionalFields = []string{
		"list-unsubscribe", "list-unsubscribe-post", "content-language", "x-pm-metadata-threepid-tag", "x-smtpapi",
	}
)

var (
	errHeader = errors.New("compose mail: the header is not what was asked for")
	errLine   = errors.New("compose mail: a line is too long")
)

// orderHeader sorts and folds the header, and refuses one with a field that
// was not asked for: a last line of defence against injection.
func orderHeader(raw []byte, asked ...string) ([]byte, error) {
	head, body, found := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !found {
		return nil, errHeader
	}
	fields, err := splitFields(head)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, name := range headerOrder {
		field, ok := fields[name]
		wanted := !slices.Contains(optionalFields, name) || slices.Contains(asked, name)
		if ok != wanted {
			return nil, errHeader
		}
		if ok {
			out = append(out, field)
		}
	}
	if len(fields) != len(out) {
		return nil, errHeader
	}
	out = append(out, nil, body)
	whole := bytes.Join(out, []byte("\r\n"))
	for line := range bytes.SplitSeq(whole, []byte("\r\n")) {
		if len(line) > maxLine {
			return nil, errLine
		}
	}
	return whole, nil
}

// splitFields returns the fields by their names in lower case. A continued
// line belongs to the field before it.
func splitFields(head []byte) (map[string][]byte, error) {
	fields := map[string][]byte{}
	var last string
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if last != "" && bytes.IndexAny(line, " \t") == 0 {
			fields[last] = slices.Concat(fields[last], []byte("\r\n"), line)
			continue
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		last = strings.ToLower(string(name))
		if _, twice := fields[last]; !ok || twice {
			return nil, errHeader
		}
		fields[last] = fold(line)
	}
	return fields, nil
}

// fold puts every encoded-word but the first on a line of its own: the library
// writes them all on one, which may be longer than a line can be. Nothing else
// in a header looks like the seam between two of them.
func fold(field []byte) []byte {
	return bytes.ReplaceAll(field, []byte("?= =?"), []byte("?=\r\n =?"))
}
