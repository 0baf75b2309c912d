// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// explain bounds what the owner of an address gets for requests that the
// homeserver has refused, and lets mails mention other requests. The service is made after the outbox, and before the
// first message.
func (rt *runtime) explain(senders map[verification.Medium]outbox.Sender) {
	for medium, sender := range senders {
		if medium == verification.Email {
			sender = &outbox.Mentioning{Sender: sender, Open: rt.service}
		}
		rt.outbox.SetSender(medium, &outbox.Explaining{Sender: sender, Explanations: rt.service})
	}
}
