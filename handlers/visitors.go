// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"hash/maphash"
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
// is logged in, for an hour: that puts them before strangers, and gives them nothing
// else (package ratelimit).

const (
	visitTime   = time.Hour
	mostVisited = 20_000
)

// visitors are the clients that were seen logged in, by their network and program.
type visitors struct {
	seed maphash.Seed
	mu   sync.Mutex
	seen map[uint64]time.Time
}

func newVisitors() *visitors {
	return &visitors{seed: maphash.MakeSeed(), seen: map[uint64]time.Time{}}
}

func (v *visitors) key(by ratelimit.Network, agent string) uint64 {
	return maphash.Comparable(v.seed, [2]string{string(by), agent})
}

// note remembers one. Where there are too many, any other is forgotten.
func (v *visitors) note(by ratelimit.Network, agent string, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.seen) >= mostVisited {
		for any := range v.seen {
			delete(v.seen, any)
			break
		}
	}
	v.seen[v.key(by, agent)] = now
}

// knows reports whether a client was seen within the hour.
func (v *visitors) knows(by ratelimit.Network, agent string, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, ok := v.seen[v.key(by, agent)]
	return ok && now.Sub(at) < visitTime
}

// noting notes the client of a request that lists the addresses of an account, once the
// homeserver has answered it.
func (c *Client) noting(call *wire.Call) *wire.Call {
	if call.R.Method != http.MethodGet || call.Route.Tail != route.TailThreepid {
		return call
	}
	by, agent := ratelimit.Narrow(c.cfg.clientAddr(call.R)), call.R.UserAgent()
	if by == "" {
		return call
	}
	return call.With(func(call *wire.Call) {
		call.W = &wire.AnswerHolder{ResponseWriter: call.W, Wanted: func(status int, _ http.Header) bool {
			if status == http.StatusOK {
				c.visitors.note(by, agent, c.people.page.Now())
			}
			return false // nothing is kept back
		}}
	})
}

// visited reports whether whoever wants to add an address was seen logged in.
func (c *Client) visited(r *http.Request, req verification.Request) bool {
	by := ratelimit.Narrow(req.Client)
	return req.Purpose == threepid.Add && by != "" && c.visitors.knows(by, r.UserAgent(), c.people.page.Now())
}

// loggedIn asks the homeserver about the token of whoever wants to add an address and was
// refused: that costs as much as they may need.
func (c *Client) loggedIn(call *wire.Call, req verification.Request) bool {
	if req.Purpose != threepid.Add || req.LoggedIn || req.AccessToken == "" {
		return false
	}
	_, err := c.hs.Whoami(call)
	return err == nil
}
