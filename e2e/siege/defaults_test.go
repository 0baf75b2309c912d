// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// limits are those of a configuration that says nothing of them.
func limits() verification.Config {
	p := ratelimit.Presets[ratelimit.Community]
	return verification.Config{
		PerClient: p.Client, PerNetwork: p.Network, PerDomain: p.Domain, PerUser: p.User, PerUIA: p.UIA,
		Messages: p.Messages, Guesses: p.Guesses, Mailboxes: p.Mailboxes,
	}
}

// dayOfSMS is how many short messages the budgets allow in a day. All cost the same.
const dayOfSMS = 500

// shortMessages are the limits of short messages where `allow *` is all that is said.
func shortMessages() smsfraud.Config { return smsfraud.Config{Allow: []string{"*"}} }
