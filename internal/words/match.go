// SPDX-License-Identifier: Apache-2.0

package words

import (
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// fallback is the language of those whose own there is not.
const fallback = "en"

const (
	// maxHeader is more than browsers send. What follows is not read: the time
	// to match grows with it, and anybody can send it.
	maxHeader = 512
	// maxRanges bounds what one header can make us compare.
	maxRanges = 16
)

// matcher finds the language for a reader.
type matcher struct {
	tags    []string
	matcher language.Matcher
}

// newMatcher makes one for these languages, of which the first is the fallback.
func newMatcher(tags []string) *matcher {
	parsed := make([]language.Tag, len(tags))
	for i, tag := range tags {
		parsed[i] = language.Make(tag)
	}
	return &matcher{tags: tags, matcher: language.NewMatcher(parsed)}
}

// match returns the tag that fits an Accept-Language header (RFC 9110
// §12.5.4) best.
func (m *matcher) match(header string) string {
	ranges := acceptable(header)
	if len(ranges) == 0 {
		return m.tags[0]
	}
	// Not the tag: the matcher adds extensions to it.
	_, index, confidence := m.matcher.Match(ranges...)
	if confidence == language.No {
		return m.tags[0]
	}
	return m.tags[index]
}

// acceptable returns the languages of a header, the most wanted one first.
func acceptable(header string) []language.Tag {
	if len(header) > maxHeader {
		header = header[:maxHeader]
		header = header[:max(0, strings.LastIndexByte(header, ','))]
	}
	type wanted struct {
		tag language.Tag
		q   float32
	}
	var all []wanted
	// One by one: a single bad element makes the library refuse a whole header.
	for element := range strings.SplitSeq(header, ",") {
		tags, qs, err := language.ParseAcceptLanguage(strings.TrimSpace(element))
		if err != nil || len(tags) != 1 {
			continue // also one with q=0, which is not wanted
		}
		if all = append(all, wanted{tags[0], qs[0]}); len(all) == maxRanges {
			break
		}
	}
	slices.SortStableFunc(all, func(a, b wanted) int {
		switch {
		case a.q > b.q:
			return -1
		case a.q < b.q:
			return 1
		}
		return 0
	})
	tags := make([]language.Tag, len(all))
	for i, w := range all {
		tags[i] = w.tag
	}
	return tags
}
