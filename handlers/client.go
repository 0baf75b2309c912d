// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Client is the client-facing side.
type Client struct {
	cfg    Config
	svc    *verification.Service
	ids    IdentityServers
	obs    Observer
	router *route.Router
	page   *pages
	caps   capabilities
	offers offers
	pace   *pace // nil if there is nothing to hide
}

// NewClient makes the client-facing side of a normalized configuration.
func NewClient(cfg Config, svc *verification.Service, ids IdentityServers, obs Observer) *Client {
	c := &Client{
		cfg: cfg, svc: svc, ids: ids, obs: obs,
		router: &route.Router{Prefixes: cfg.Prefixes, Identity: cfg.IdentitySubmit},
		page:   newPages(cfg.PublicURL),
		caps:   capabilities{known: map[string]capability{}},
	}
	if cfg.Callback && !cfg.Reveal && cfg.Pace > 0 {
		c.pace = newPace(cfg.Pace)
	}
	return c
}

// ServeHTTP answers what is ours and passes on the rest. Whoever calls it
// must have nothing written yet; an error means that nothing was.
func (c *Client) ServeHTTP(w http.ResponseWriter, r *http.Request, next wire.Next) error {
	if route.InOwnSpace(r.URL) {
		return c.serveOwn(w, r, wire.BoundUntil(w, r, next))
	}
	at, suspicious := c.router.Classify(r.URL)
	if suspicious || at.Kind != route.KindNone {
		next = wire.BoundUntil(w, r, next)
	}
	if suspicious {
		return c.observed(w, r, at, "suspicious_path", func() (int, error) {
			return 0, wire.Unrecognized(http.StatusNotFound)
		})
	}
	if t, ok := c.talkOf(r, at); ok {
		return c.converse(w, r, next, at, t)
	}
	return c.serve(w, r, next, at, nil)
}

// serve finds who answers a request. The round is nil for one that is no part of a
// conversation.
func (c *Client) serve(w http.ResponseWriter, r *http.Request, next wire.Next, at route.Route, x *round) error {
	switch {
	case at.Kind == route.KindNone:
		return c.other(w, r, next, at, x)
	case at.Kind == route.KindRefuse:
		return c.refuse(w, r, at) // has no CORS
	case r.Method == http.MethodOptions:
		wire.Preflight(w)
		return nil
	case wire.AmbiguousQuery(r.URL):
		return c.observed(w, r, at, string(at.Kind), func() (int, error) {
			return 0, wire.BadRequest(wire.CodeInvalidParam, "The query cannot be read in one way only")
		})
	case at.Kind == route.KindVersions:
		return c.versions(w, r, next, at)
	case at.Kind == route.KindSubmit:
		return c.submit(w, r, at)
	}
	return c.observed(w, r, at, string(at.Kind), func() (int, error) {
		switch at.Kind {
		case route.KindRequestToken:
			return c.requestToken(w, r, next, at)
		case route.KindComplete:
			return c.complete(w, r, next, at)
		case route.KindAdd:
			return c.add(w, r, next, at)
		case route.KindBind:
			return c.bind(w, r, next, at)
		case route.KindUnbind:
			return c.unbind(w, r, next, at)
		case route.KindDeactivate:
			return c.deactivate(w, r, next, at)
		case route.KindProbe:
			return c.probe(w, r)
		default:
			return 0, wire.Unrecognized(http.StatusNotFound)
		}
	})
}

// observed runs one endpoint, renders its refusal and reports both. The
// function returns the status it wrote, or an error when it wrote nothing;
// status 0 without an error means that next has answered by itself.
func (c *Client) observed(w http.ResponseWriter, r *http.Request, at route.Route, endpoint string, run func() (int, error)) error {
	return c.observedAs(w, r, at, endpoint, run, (*wire.MatrixError).Body)
}

// observedAs is observed with another form of the error body.
func (c *Client) observedAs(w http.ResponseWriter, r *http.Request, at route.Route, endpoint string, run func() (int, error), form func(*wire.MatrixError) wire.ErrorBody) error {
	start := time.Now()
	status, err := run()
	if status == 0 && err == nil {
		return nil
	}
	e := Event{Face: "client", Endpoint: endpoint, Purpose: at.Purpose, Medium: at.Medium, Duration: time.Since(start)}
	e.Outcome, e.Status, e.Err = outcomeOf(err)
	e.Limit = limitOf(err)
	if status != 0 {
		e.Status = status // that it wrote
	}
	if err == nil && status >= 400 {
		e.Outcome = "upstream"
	}
	c.obs.Request(r, e)
	var ue *wire.UpstreamError
	if errors.As(err, &ue) && ue.Status < 500 {
		return err // the administrator's own rule; Caddy renders it
	}
	if ch, ok := errors.AsType[*challenge](err); ok {
		wire.WriteJSON(w, http.StatusUnauthorized, c.challengeInWords(r, ch))
		return nil
	}
	if refused, ok := wire.RefusalOf(err); ok {
		wire.RelayRefusal(w, refused.Answer)
		return nil
	}
	var page *rendered
	switch {
	case err == nil || errors.As(err, &page):
	case ForPerson(r):
		_, _ = c.failedPage(w, r, err) // it was reported above
	default:
		me := c.inWords(r, wire.ErrorOf(err))
		wire.WriteError(w, me, form(me))
	}
	return nil
}

// rendered is a failure that the client has been told of already, as a page.
type rendered struct{ *wire.MatrixError }

// Unwrap gives access to the failure.
func (e *rendered) Unwrap() error { return e.MatrixError }

// upstreamPath is the spelling of a path that the homeserver knows.
func (c *Client) upstreamPath(r route.Route) string {
	if r.Kind == route.KindVersions {
		return c.cfg.UpstreamPrefix + "/versions"
	}
	version := r.Version
	if version == "v3" {
		version = c.cfg.UpstreamVersion
	}
	return c.cfg.UpstreamPrefix + "/" + version + "/" + r.Tail
}
