// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// inWords is a refusal as the one who made the request is told it. Without words in
// their language it stays as it is.
func (c *Client) inWords(r *http.Request, e *wire.MatrixError) *wire.MatrixError {
	if e.Say == "" {
		return e
	}
	words := c.page.Words(c.cfg.brandOf(r), r.Header.Get("Accept-Language"))
	text, err := words.Text(e.Say, words.Lasting(e.RetryAfter))
	if err != nil || text == "" {
		return e
	}
	said := *e
	said.Message = text
	return &said
}

// challengeInWords is the same for a round of an authentication of ours.
func (c *Client) challengeInWords(r *http.Request, ch *challenge) *challenge {
	said := *ch
	said.Message = c.inWords(r, &wire.MatrixError{Message: ch.Message, Say: ch.say}).Message
	return &said
}
