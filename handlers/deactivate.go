// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// deactivate serves /account/deactivate. The homeserver decides, by its own
// User-Interactive Authentication; when the account is gone, so are its
// bindings, as far as anybody lets us.
func (c *Client) deactivate(call *wire.Call) (int, error) {
	path := c.hs.Path(call.Route)
	if call.R.Method != http.MethodPost || !wire.HasToken(call.R) {
		return c.completeAs(call, path, nil)
	}
	who, err := c.hs.Whoami(call)
	if err != nil {
		return 0, err
	}
	return c.completeAs(call, path, who)
}

// completeAs is complete for a path where only User-Interactive Authentication
// uses sessions. If the user is known, their bindings end with the account.
func (c *Client) completeAs(call *wire.Call, path string, who *hsapi.Account) (int, error) {
	raw, err := call.Body()
	if err != nil {
		return 0, err
	}
	if len(raw) == 0 && who == nil {
		return call.PassEmptyTo(path)
	}
	if len(raw) == 0 {
		raw = []byte("{}") // clients of r0.0 sent nothing on the first round
	}
	body, err := wire.ParseObject(raw)
	if err != nil {
		return 0, err
	}
	j := &completion{client: c, call: call, body: body, who: who}
	if err := j.readAuth(); err != nil {
		return 0, err
	}
	if who == nil {
		// We find no token, but Synapse looks for one in a form, too, and one
		// text can be an object and a form. So it is sent as nothing but an
		// object, and names no server that the homeserver would go to.
		delete(body, "id_server")
		return j.run(path)
	}
	if j.withdrawal, err = c.bindings.Leaving(call, who, body); err != nil {
		return 0, err
	}
	return j.run(path)
}
