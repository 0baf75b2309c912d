// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// limits are those of a configuration that says nothing of them.
func limits() verification.Config {
	return verification.Config{Preset: ratelimit.Presets[ratelimit.Community]}
}

// dayOfSMS is how many short messages the budgets allow in a day. All cost the same.
const dayOfSMS = 500

// shortMessages are the limits of short messages where `allow *` is all that is said.
func shortMessages() smsfraud.Config { return smsfraud.Config{Allow: []string{"*"}} }
