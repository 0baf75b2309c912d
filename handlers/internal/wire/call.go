// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
)

// Call is one request that we have a part in: what is asked, how it is answered, and the
// way on to the homeserver.
type Call struct {
	W     http.ResponseWriter
	R     *http.Request
	Next  Next
	Route route.Route
	// MaxBody bounds a body that is read whole, in bytes.
	MaxBody int64
	// Raw is the body as it goes on, if it was read to its end already, and Authenticates
	// says that it has an "auth".
	Raw           []byte
	Authenticates bool
}

// With is the same call with something changed in it.
func (c *Call) With(change func(*Call)) *Call {
	other := *c
	change(&other)
	return &other
}

// At is the same call on another route.
func (c *Call) At(at route.Route) *Call { return c.With(func(other *Call) { other.Route = at }) }

// Body reads the whole body.
func (c *Call) Body() ([]byte, error) { return ReadBody(c.W, c.R, c.MaxBody) }

// Object reads a body that is a JSON object, and can be read in one way only.
func (c *Call) Object() (Object, error) {
	raw, err := c.Body()
	if err != nil {
		return nil, err
	}
	return ParseObject(raw)
}

// SignedObject is Object for a request that needs an access token.
func (c *Call) SignedObject() (Object, error) {
	body, err := c.Object()
	if err == nil {
		_, err = AccessToken(c.R)
	}
	return body, err
}

// PassOn hands the request to the homeserver, which answers by itself.
func (c *Call) PassOn() (int, error) { return 0, c.Next(c.W, c.R) }

// PassTo is PassOn under another path.
func (c *Call) PassTo(path string) (int, error) {
	SetPath(c.R, path)
	return c.PassOn()
}

// PassEmptyTo is PassTo without a body.
func (c *Call) PassEmptyTo(path string) (int, error) {
	c.R.Body, c.R.ContentLength, c.R.TransferEncoding = http.NoBody, 0, nil
	return c.PassTo(path)
}

// Exchange sends the request on, changed, and keeps the answer.
func (c *Call) Exchange(path string, body []byte) (*Answer, error) {
	return Exchange(c.R, c.Next, path, body)
}

// Respond gives the client an answer as the homeserver gave it.
func (c *Call) Respond(answer *Answer) (int, error) {
	answer.CopyTo(c.W)
	return answer.Status, nil
}

// OK answers with what we have to say.
func (c *Call) OK(v any) (int, error) {
	WriteJSON(c.W, http.StatusOK, v)
	return http.StatusOK, nil
}

// OnlyBy refuses every method but those that are allowed here.
func (c *Call) OnlyBy(methods string) (int, error) {
	c.W.Header().Set("Allow", methods)
	return 0, Unrecognized(http.StatusMethodNotAllowed)
}
