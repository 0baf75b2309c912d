// SPDX-License-Identifier: Apache-2.0

package hsapi

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
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

// Has finds out whether the homeserver has an endpoint, and under which
// version. /versions cannot tell: Dendrite claims v1.2 without having what
// came with r0.6, and Synapse 1.4 to 1.15 has it under /unstable only. So the
// endpoint itself is asked, without an access token and with an empty body;
// whoever has it refuses that in another way than whoever has not.
func (h *Homeserver) Has(call *wire.Call, tail string) (string, error) {
	version, _, err := h.Find(call, tail)
	return version, err
}

// Lacks reports whether the homeserver has not an endpoint. It is an error if that
// is not sure: what answers may be somebody in between.
func (h *Homeserver) Lacks(call *wire.Call, tail string) (bool, error) {
	version, sure, err := h.Find(call, tail)
	if err == nil && !sure {
		err = wire.UpstreamFailure(ErrUnsure)
	}
	return version == "", err
}

// ErrUnsure is the cause where a homeserver does not say whether it has an endpoint.
var ErrUnsure = errors.New("the answer to an endpoint that the homeserver may not have is no Matrix error")

// Find is Has, and whether it is sure.
func (h *Homeserver) Find(call *wire.Call, tail string) (version string, sure bool, err error) {
	h.caps.mu.Lock()
	known, ok := h.caps.known[tail]
	h.caps.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.version, true, nil
	}
	known = capability{until: time.Now().Add(knownFor)}
	sure = true
	for _, version := range []string{h.Version, "unstable"} {
		answer, err := h.Ask(call, Question{Method: http.MethodPost, Path: version + "/" + tail, Body: []byte("{}")})
		if err != nil {
			return "", false, wire.UpstreamFailure(err)
		}
		found, err := exists(answer)
		if err != nil {
			return "", false, err
		}
		if found {
			known.version, sure = version, true
			break
		}
		sure = sure && answer.Status/100 == 4 && wire.ErrcodeOf(answer) == wire.CodeUnrecognized
	}
	if !sure {
		return "", false, nil // a page of somebody in between, perhaps
	}
	h.caps.mu.Lock()
	defer h.caps.mu.Unlock()
	if h.caps.known == nil {
		h.caps.known = map[string]capability{}
	}
	h.caps.known[tail] = known
	return known.version, true, nil
}

// exists reads the answer to an empty request without a token.
func exists(answer *wire.Answer) (bool, error) {
	errcode := wire.ErrcodeOf(answer)
	switch {
	case answer.Status == http.StatusNotFound, answer.Status == http.StatusMethodNotAllowed, errcode == wire.CodeUnrecognized:
		return false, nil
	case errcode != "" && answer.Status/100 == 4 && answer.Status != http.StatusTooManyRequests:
		return true, nil
	}
	return false, wire.UpstreamFailure(fmt.Errorf("the homeserver answered %d where it should refuse", answer.Status))
}
