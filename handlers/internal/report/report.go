// SPDX-License-Identifier: Apache-2.0

// Package report is what operators are told of requests: metrics, logs and the audit log.
package report

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Event is one request that we answered or rewrote, for metrics and logs. It
// holds no address, token or secret.
type Event struct {
	// Face is "client" or "identity".
	Face string
	// Endpoint is one of a closed set, see packages route and identity.
	Endpoint string
	Purpose  threepid.Purpose
	Medium   threepid.Medium
	// Outcome is "ok" or an error code in lower case without its "m_", out of
	// the closed set of package wire; "upstream" for an answer of the
	// homeserver's that refuses.
	Outcome  string
	Status   int
	Duration time.Duration
	// Limit is the limit that has refused the request, or empty.
	Limit ratelimit.Kind
	// Err is the private cause of a failure, or nil.
	Err error
}

// Change is a change of somebody's addresses, for the audit log. User and
// Address are pseudonyms.
type Change struct {
	// Action is "registered", "added", "bound", "unbound", "deleted",
	// "deactivated", or "notified": its addresses were told.
	Action string
	// User is empty where the homeserver has not said who it is.
	User    string
	Medium  threepid.Medium
	Address string
	// IDServer is the identity server that a binding was asked of.
	IDServer string
	// Result is the id_server_unbind_result, where there is one, and "limited" for
	// those that were not told.
	Result string
	// Err says why it has failed, or is nil.
	Err error
}

// Observer takes events. It must not block.
type Observer interface {
	Request(r *http.Request, e Event)
	Changed(r *http.Request, c Change)
}

// UnknownLimit is a limit that was not one of the service's, or that was met after
// the homeserver had been asked.
const UnknownLimit ratelimit.Kind = "other"

// LimitOf is the limit that has refused a request, or empty. One that does not
// say which it is was not one of the service's.
func LimitOf(err error) ratelimit.Kind {
	limit, ok := errors.AsType[*verification.LimitError](err)
	if !ok {
		return ""
	}
	return cmp.Or(limit.Limit, UnknownLimit)
}

// OutcomeOf is the metric label of an error.
func OutcomeOf(err error) (outcome string, status int, cause error) {
	if err == nil {
		return "ok", http.StatusOK, nil
	}
	var ue *wire.UpstreamError
	if errors.As(err, &ue) && ue.Status < 500 {
		return "upstream", ue.Status, nil
	}
	if refused, ok := wire.RefusalOf(err); ok {
		return "upstream", refused.Answer.Status, nil
	}
	me := wire.ErrorOf(err)
	return strings.TrimPrefix(strings.ToLower(me.Errcode), "m_"), me.Status, me.Err
}
