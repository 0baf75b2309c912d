// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// knownFor is how long we remember what the homeserver can do: it may be
// upgraded while we run.
const knownFor = 10 * time.Minute

// capabilities remembers which endpoints the homeserver has.
type capabilities struct {
	mu    sync.Mutex
	known map[string]capability
}

type capability struct {
	version string // under which it has the endpoint, or ""
	until   time.Time
}

// has finds out whether the homeserver has an endpoint, and under which
// version. /versions cannot tell: Dendrite claims v1.2 without having what
// came with r0.6, and Synapse 1.4 to 1.15 has it under /unstable only. So the
// endpoint itself is asked, without an access token and with an empty body;
// whoever has it refuses that in another way than whoever has not.
func (c *Client) has(r *http.Request, next Next, tail string) (string, error) {
	version, _, err := c.find(r, next, tail)
	return version, err
}

// find is has, and tells whether it was the homeserver that said so.
func (c *Client) find(r *http.Request, next Next, tail string) (version string, sure bool, err error) {
	c.caps.mu.Lock()
	known, ok := c.caps.known[tail]
	c.caps.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.version, true, nil
	}
	known = capability{until: time.Now().Add(knownFor)}
	sure = true
	for _, version := range []string{c.cfg.UpstreamVersion, "unstable"} {
		answer, err := c.ask(r, next, http.MethodPost, version+"/"+tail, "", []byte("{}"))
		if err != nil {
			return "", false, upstreamFailure(err)
		}
		found, err := exists(answer)
		if err != nil {
			return "", false, err
		}
		if found {
			known.version = version
			break
		}
		sure = sure && answer.status/100 == 4 && errcodeOf(answer) == codeUnrecognized
	}
	if known.version == "" && !sure {
		return "", false, nil // a page of somebody in between, perhaps
	}
	c.caps.mu.Lock()
	defer c.caps.mu.Unlock()
	if c.caps.known == nil {
		c.caps.known = map[string]capability{}
	}
	c.caps.known[tail] = known
	return known.version, true, nil
}

// exists reads the answer to an empty request without a token.
func exists(answer *capture) (bool, error) {
	errcode := errcodeOf(answer)
	switch {
	case answer.status == http.StatusNotFound, answer.status == http.StatusMethodNotAllowed, errcode == codeUnrecognized:
		return false, nil
	case errcode != "" && answer.status/100 == 4 && answer.status != http.StatusTooManyRequests:
		return true, nil
	}
	return false, upstreamFailure(fmt.Errorf("the homeserver answered %d where it should refuse", answer.status))
}

// errcodeOf is the error code of an answer, or "".
func errcodeOf(answer *capture) string {
	var body struct {
		Errcode string `json:"errcode"`
	}
	if json.Unmarshal(answer.body.Bytes(), &body) != nil {
		return ""
	}
	return body.Errcode
}

// detached is a context that survives the client, for what must not be left
// half done.
func detached(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// asRefusal finds the homeserver's refusal in an error.
func asRefusal(err error) (*refusal, bool) { return errors.AsType[*refusal](err) }
