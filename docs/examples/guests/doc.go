// SPDX-License-Identifier: Apache-2.0

// Package guests has an example of each guest of caddy-threepid: a mailer that runs a
// program, an SMS gateway that posts JSON, and a store that is one file. They are a
// module of their own, as yours will be, and need nothing but Caddy and the packages
// guest and store:
//
//	xcaddy build --with github.com/caddy-threepid/caddy-threepid=. --with example.org/threepid-guests=./docs/examples/guests
//
//	threepid {
//		store journal {
//			path /var/lib/threepid/journal
//		}
//		mailer sendmail {
//			from    noreply@example.org
//			command /usr/sbin/sendmail -i -f {from} -- {to}
//		}
//		sms {
//			sender own webhook {
//				url   https://sms.example.org/messages
//				token {env.SMS_TOKEN}
//			}
//			allow GB
//		}
//	}
//
// After an update of caddy-threepid: go -C docs/examples/guests mod tidy.
package guests

import (
	// Each registers one module.
	_ "example.org/threepid-guests/journal"
	_ "example.org/threepid-guests/sendmail"
	_ "example.org/threepid-guests/webhook"
)
