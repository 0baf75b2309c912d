// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"cmp"
	"fmt"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smstest"
)

// startPhones starts the gateway for short messages.
func (s *Stack) startPhones(opts Options) error {
	gateway, err := smstest.Start()
	if err != nil {
		return fmt.Errorf("start gateway for short messages: %w", err)
	}
	s.Phones = gateway
	s.stops = append(s.stops, func() { _ = gateway.Close() })
	opts.Logf("gateway for short messages on %s", gateway.URL())
	return nil
}

// smsBlock lets one client, which all of a stack's tests are, do what many do.
func (s *Stack) smsBlock(opts Options) string {
	own := fmt.Sprintf(`http {
				url %s
				bearer %s
				json `+"`"+`{"id":"{id}","to":"{to}","from":"{from}","text":"{text}","receipt":"{receipt_url}"}`+"`"+`
				success 201
				message_id json /message_id
			}`, s.Phones.URL(), smstest.Token)
	return fmt.Sprintf(`		sms {
			sender gateway %s
			originator default Example
			allow *
			budget total messages 100000 per day
			per_client numbers off
			per_client countries off
			per_client part off
			conversion off
			resend_after 1ms
		}
`, cmp.Or(opts.SMSSender, own))
}
