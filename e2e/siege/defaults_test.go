// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// limits are those of a configuration that says nothing of them.
func limits() verification.Config {
	per := func(burst int) verification.Limit { return verification.Limit{Burst: burst, Per: time.Hour} }
	return verification.Config{
		PerAddress: per(10), PerClient: per(60), PerDomain: per(200), PerUser: per(20), PerUIA: per(10), Messages: per(500), Guesses: per(30),
	}
}

// dayOfSMS is how many short messages the budgets allow in a day. All cost the same.
const dayOfSMS = 500

// shortMessages are the limits of short messages where `allow *` is all that is said.
func shortMessages() smsfraud.Config { return smsfraud.Config{Allow: []string{"*"}} }
