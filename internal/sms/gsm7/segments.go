// SPDX-License-Identifier: Apache-2.0

package gsm7

import (
	"strings"
	"unicode/utf16"
)

// What one message holds, and what each holds of several that are joined: the
// header that joins them takes six octets.
const (
	septets       = 160
	joinedSeptets = 153
	units         = 70
	joinedUnits   = 67
)

// basic is the GSM 7 bit default alphabet without the escape (TS 23.038
// §6.2.1), extension its extension table, whose characters take two places.
const (
	basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	extension = "\f^{}\\[~]|€"
)

// Count is what a text costs.
type Count struct {
	// Segments is how many messages are sent and paid for; of an empty text
	// none.
	Segments int
	// Unicode says that the text goes out as UCS-2.
	Unicode bool
}

// Of counts the segments of a text. A character that takes two places is never
// split between two segments.
func Of(text string) Count {
	if text == "" {
		return Count{}
	}
	sizes, ok := places(text)
	if ok {
		return Count{Segments: segments(sizes, septets, joinedSeptets)}
	}
	sizes = sizes[:0]
	for _, r := range text {
		sizes = append(sizes, max(1, utf16.RuneLen(r)))
	}
	return Count{Segments: segments(sizes, units, joinedUnits), Unicode: true}
}

// places are the septets that each character takes; false if there is one that
// the alphabet lacks.
func places(text string) ([]int, bool) {
	sizes := make([]int, 0, len(text))
	for _, r := range text {
		switch {
		case strings.ContainsRune(basic, r):
			sizes = append(sizes, 1)
		case strings.ContainsRune(extension, r):
			sizes = append(sizes, 2)
		default:
			return sizes, false
		}
	}
	return sizes, true
}

func segments(sizes []int, single, joined int) int {
	total := 0
	for _, n := range sizes {
		total += n
	}
	if total <= single {
		return 1
	}
	count, used := 1, 0
	for _, n := range sizes {
		if used+n > joined {
			count, used = count+1, 0
		}
		used += n
	}
	return count
}
