// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// lowered is Python's str.lower, by which Synapse keeps and finds email addresses: the
// sigma that ends a word is another one, and a capital I with a dot is two characters.
func lowered(address string) string { return cases.Lower(language.Und).String(address) }
