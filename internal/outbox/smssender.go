// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/sms/gsm7"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// SMSTransport brings a text to a phone in a country.
type SMSTransport interface {
	Send(ctx context.Context, region string, m sms.Message) (gateway string, a sms.Accepted, err error)
}

// SMSSender turns messages into texts. All its fields are required but those
// that say otherwise.
type SMSSender struct {
	Transport SMSTransport
	Templates *words.Set
	Keys      *keyring.Ring
	// Region is the country of a number in E.164 without "+".
	Region func(number string) string
	// Tag, if set, makes what a receipt is known by.
	Tag func(m verification.Message) string
}

var _ Sender = (*SMSSender)(nil)

// Send implements [Sender]. An error that is not the transport's is final.
func (s *SMSSender) Send(ctx context.Context, m verification.Message) error {
	text, err := s.Text(m)
	if err != nil {
		return err
	}
	count := gsm7.Of(text)
	keys := s.Keys.Fixed()
	id := keys.Hashes("short message id", m.ID)[verification.Origin(keys, m.SID)]
	short := sms.Message{
		// Some gateways bear no more than 40 characters, or no others than these.
		ID: idAlphabet.EncodeToString(id[:]),
		To: m.Address, Text: text, Unicode: count.Unicode, Segments: count.Segments, Repeat: m.Uncertain,
	}
	if s.Tag != nil {
		short.Tag = s.Tag(m)
	}
	_, _, err = s.Transport.Send(ctx, s.Region(m.Address), short)
	return err
}

// Text is what a message says.
func (s *SMSSender) Text(m verification.Message) (string, error) {
	return s.Templates.SMS(m.Brand, m)
}
