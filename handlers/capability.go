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

// lacks reports whether the homeserver has not an endpoint. It is an error if that
// is not sure: what answers may be somebody in between.
func (c *Client) lacks(r *http.Request, next Next, tail string) (bool, error) {
	version, sure, err := c.find(r, next, tail)
	if err == nil && !sure {
		err = upstreamFailure(errUnsure)
	}
	return version == "", err
}

var errUnsure = errors.New("the answer to an endpoint that the homeserver may not have is no Matrix error")

// find is has, and whether it is sure.
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
			known.version, sure = version, true
			break
		}
		sure = sure && answer.status/100 == 4 && errcodeOf(answer) == codeUnrecognized
	}
	if !sure {
		return "", false, nil // a page of somebody in between, perhaps
	}
	c.caps.mu.Lock()
	defer c.caps.mu.Unlock()
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
	_ = json.Unmarshal(answer.body.Bytes(), &body) // a page has none
	return body.Errcode
}

// detached is a context that survives the client, for what must not be left
// half done.
func detached(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// asRefusal finds the homeserver's refusal in an error.
func asRefusal(err error) (*refusal, bool) { return errors.AsType[*refusal](err) }
