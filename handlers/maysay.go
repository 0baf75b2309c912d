// SPDX-License-Identifier: Apache-2.0

package handlers

import "strings"

// maySay reports whether a text may have a word in it, for the most lenient reader.
// It is to be cheap: most texts have not, and need not be decoded.
func maySay(raw []byte, word string) bool {
	first := word[0]
	for i, c := range raw {
		switch {
		case c >= 0x80, c == 0, c == '\\' && i+1 < len(raw) && raw[i+1] == 'u':
			return true
		case c|0x20 == first && len(raw)-i >= len(word) && strings.EqualFold(string(raw[i:i+len(word)]), word):
			return true
		}
	}
	return false
}
