// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"maps"
	"slices"
)

// clientWords are no page's: clients show them as the text of an error. They are
// here because who reads them is the one who reads the pages.
var clientWords = map[string]string{
	"client limit":       "Too many requests. Please try again in {value}.",
	"client busy":        "The server cannot send messages at the moment. Please try again in {value}.",
	"client email":       "This is not a valid email address.",
	"client number":      "This is not a valid phone number. Check the country as well.",
	"client denied":      "Addresses of this domain are not allowed on this server.",
	"client barred":      "This server sends no messages to numbers of this kind or country.",
	"client closed":      "Registration is disabled on this server.",
	"client begin":       "Please complete the earlier steps of the registration first.",
	"client unsupported": "This server does not verify addresses of this kind.",
	"client setup":       "This server is not set up correctly and cannot verify addresses. Please tell its administrator.",
	"client password":    "This password is not right.",
	"client unconfirmed": "This is not confirmed yet. Confirm it with the message that you got, then try again.",
}

// ClientKeys returns the names of these words.
func ClientKeys() []string { return slices.Sorted(maps.Keys(clientWords)) }
