// SPDX-License-Identifier: Apache-2.0

package handlers

import "net/http"

// What clients show as it comes, the text of an error, is for people: in their
// language, where their browser names one, and with a wait that they can read.
// [MatrixError.Say] names the words, which are those of our pages or stand beside
// them. All other errors are for those who write clients, and in English.
const (
	sayLimit       = "client limit"
	sayBusy        = "client busy"
	sayEmail       = "client email"
	sayNumber      = "client number"
	sayDenied      = "client denied"
	sayClosed      = "client closed"
	sayBegin       = "client begin"
	sayUnsupported = "client unsupported"
	saySetup       = "client setup"
	sayUnconfirmed = "client unconfirmed"
	sayPassword    = "client password"
	sayWrong       = "code wrong"
	sayExpired     = "expired what"
	sayRevoked     = "revoked what"
	sayInvalid     = "invalid what"
	sayFault       = "error what"
	// SayBarred is for numbers that get no messages.
	SayBarred = "client barred"
)

// inWords is a refusal as the one who made the request is told it. Without words in
// their language it stays as it is.
func (c *Client) inWords(r *http.Request, e *MatrixError) *MatrixError {
	if e.Say == "" {
		return e
	}
	words := c.page.Words(c.brandOf(r), r.Header.Get("Accept-Language"))
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
	said.Message = c.inWords(r, &MatrixError{Message: ch.Message, Say: ch.say}).Message
	return &said
}

// saying is a refusal with such words.
func saying(status int, errcode, say, message string) *MatrixError {
	return &MatrixError{Status: status, Errcode: errcode, Say: say, Message: message}
}
