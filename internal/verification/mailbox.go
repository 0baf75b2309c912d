// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// mailboxID is what all spellings of one mailbox have in common, or a number. Limits,
// cool-downs and explanations are for a mailbox; what was proven, a code, a language are
// for an address as it is spelled, which is a [threepid.ThreePID].
type mailboxID threepid.ThreePID

func mailboxOf(id threepid.ThreePID) mailboxID {
	if id.Medium == threepid.Email {
		id.Address = address.AbuseKey(id.Address)
	}
	return mailboxID(id)
}

// ofMailbox are the names of what is known of an address's mailbox.
func ofMailbox(names func(naming, mailboxID) []string) func(naming, threepid.ThreePID) []string {
	return func(n naming, id threepid.ThreePID) []string { return names(n, mailboxOf(id)) }
}

// mailboxNames stand for a mailbox in the keys of its limits.
func (n naming) mailboxNames(of mailboxID) []string {
	return n.keys.HashTexts("limit mailbox", string(of.Medium), of.Address)
}
