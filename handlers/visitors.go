// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Clients ask for a token to add an address without saying who they are: matrix-js-sdk
// sends no access token there. But before that they have listed the account's addresses,
// with one. So whoever had a list of the homeserver's from us is taken for somebody who
// is logged in, for an hour, and so is whoever shares their network. It puts them before
// strangers, and gives them the last letter of a mailbox's day (package ratelimit); it
// proves nothing.

const (
	visitTime   = time.Hour
	mostVisited = 20_000
)

// visitors are the clients that were seen logged in, by their network: by nothing that
// they can choose, or one of them could take all the places.
type visitors struct {
	mu   sync.Mutex
	seen map[ratelimit.Network]time.Time
}

func newVisitors() *visitors {
	return &visitors{seen: map[ratelimit.Network]time.Time{}}
}

// note remembers one. Where there are too many, any other is forgotten.
func (v *visitors) note(by ratelimit.Network, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.seen) >= mostVisited {
		for any := range v.seen {
			delete(v.seen, any)
			break
		}
	}
	v.seen[by] = now
}

// knows reports whether a client was seen within the hour.
func (v *visitors) knows(by ratelimit.Network, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, ok := v.seen[by]
	return ok && now.Sub(at) < visitTime
}

// noting notes the client of a request that lists the addresses of an account, once the
// homeserver has answered it.
func (c *Client) noting(call *wire.Call) *wire.Call {
	if call.R.Method != http.MethodGet || call.Route.Tail != route.TailThreepid {
		return call
	}
	by := ratelimit.Narrow(c.cfg.clientAddr(call.R))
	if by == "" {
		return call
	}
	return call.With(func(call *wire.Call) {
		call.W = &wire.AnswerHolder{ResponseWriter: call.W, Wanted: func(status int, _ http.Header) bool {
			if status == http.StatusOK {
				c.visitors.note(by, c.people.page.Now())
			}
			return false // nothing is kept back
		}}
	})
}

// visited reports whether whoever wants to add an address was seen logged in.
func (c *Client) visited(req verification.Request) bool {
	by := ratelimit.Narrow(req.Client)
	return req.Purpose == threepid.Add && by != "" && c.visitors.knows(by, c.people.page.Now())
}

// loggedIn asks the homeserver about the token of whoever wants to add an address and was
// refused. Tokens that are none count as wrong guesses do: or each refusal would be a
// question. A guest has no account.
func (c *Client) loggedIn(call *wire.Call, req verification.Request) bool {
	if req.Purpose != threepid.Add || req.LoggedIn || req.AccessToken == "" {
		return false
	}
	ctx := call.R.Context()
	right, err := c.svc.Guess(ctx, req.Client)
	if err != nil {
		return false
	}
	who, err := c.hs.Whoami(call)
	if err != nil || who.Guest {
		return false
	}
	right(ctx)
	return true
}
