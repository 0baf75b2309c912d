// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/bindings"
	"github.com/caddy-threepid/caddy-threepid/handlers/identity"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Client is the client-facing side.
type Client struct {
	cfg    Config
	svc    *verification.Service
	obs    report.Observer
	router *route.Router
	people *people
	hs     *hsapi.Homeserver
	offers hsapi.Offers
	// notices and bindings are parts with a life of their own.
	notices   *notices
	bindings  *bindings.Handler
	equalizer *equalizer // nil if there is nothing to hide
	visitors  *visitors
}

// NewClient makes the client-facing side of a normalized configuration.
func NewClient(cfg Config, svc *verification.Service, ids bindings.IdentityServers, obs report.Observer) *Client {
	c := &Client{
		cfg: cfg, svc: svc, obs: obs,
		router: &route.Router{Prefixes: cfg.Prefixes, Identity: cfg.IdentitySubmit},
		hs:     homeserverOf(&cfg), visitors: newVisitors(),
	}
	c.people = &people{&c.cfg, svc, newPages(cfg.PublicURL)}
	c.notices = &notices{&c.cfg, svc, obs}
	c.bindings = &bindings.Handler{Service: svc, Servers: ids, Observer: obs, Homeserver: c.hs, Removals: c.notices, IdentityName: cfg.IdentityName, Idle: cfg.idle()}
	if cfg.Callback && !cfg.Reveal && cfg.Pace > 0 {
		c.equalizer = newEqualizer(cfg.Pace)
	}
	return c
}

// ServeHTTP answers what is ours and passes on the rest. Whoever calls it
// must have nothing written yet; an error means that nothing was.
func (c *Client) ServeHTTP(w http.ResponseWriter, r *http.Request, next wire.Next) error {
	call := &wire.Call{W: w, R: r, Next: next, MaxBody: c.cfg.MaxBody}
	if route.InOwnSpace(r.URL) {
		call.Next = wire.BoundUntil(w, r, next)
		return c.serveOwn(call)
	}
	var suspicious bool
	if call.Route, suspicious = c.router.Classify(r.URL); suspicious || call.Route.Kind != route.KindNone {
		call.Next = wire.BoundUntil(w, r, next)
	}
	if suspicious {
		return c.observed(call, "suspicious_path", func() (int, error) {
			return 0, wire.Unrecognized(http.StatusNotFound)
		})
	}
	if t, ok := c.endpointOf(call); ok {
		return c.converse(call, t)
	}
	return c.serve(call)
}

// serve finds who answers a request.
func (c *Client) serve(call *wire.Call) error {
	switch {
	case call.Route.Kind == route.KindNone:
		return c.other(call)
	case call.Route.Kind == route.KindRefuse:
		return c.refuse(call) // has no CORS
	case call.R.Method == http.MethodOptions:
		wire.Preflight(call.W)
		return nil
	case wire.AmbiguousQuery(call.R.URL):
		return c.observed(call, string(call.Route.Kind), func() (int, error) {
			return 0, wire.BadRequest(wire.CodeInvalidParam, "The query cannot be read in one way only")
		})
	case call.Route.Kind == route.KindVersions:
		return c.versions(call)
	case call.Route.Kind == route.KindSubmit:
		return c.submit(call)
	}
	return c.observed(call, string(call.Route.Kind), func() (int, error) {
		switch call.Route.Kind {
		case route.KindRequestToken:
			return c.requestToken(call)
		case route.KindComplete:
			return c.complete(call)
		case route.KindAdd:
			return c.add(call)
		case route.KindBind:
			return c.bindings.Bind(call)
		case route.KindUnbind:
			return c.bindings.Unbind(call)
		case route.KindDeactivate:
			return c.deactivate(call)
		case route.KindProbe:
			return c.probe(call)
		default:
			return 0, wire.Unrecognized(http.StatusNotFound)
		}
	})
}

// observed runs one endpoint, renders its refusal and reports both. The
// function returns the status it wrote, or an error when it wrote nothing;
// status 0 without an error means that next has answered by itself.
func (c *Client) observed(call *wire.Call, endpoint string, run func() (int, error)) error {
	return c.observedAs(call, endpoint, run, (*wire.MatrixError).Body)
}

// observedAs is observed with another form of the error body.
func (c *Client) observedAs(call *wire.Call, endpoint string, run func() (int, error), form func(*wire.MatrixError) wire.ErrorBody) error {
	start := time.Now()
	status, err := run()
	if status == 0 && err == nil {
		return nil
	}
	e := report.Event{Face: "client", Endpoint: endpoint, Purpose: call.Route.Purpose, Medium: call.Route.Medium, Duration: time.Since(start)}
	e.Outcome, e.Status, e.Err = report.OutcomeOf(err)
	e.Limit = report.LimitOf(err)
	if status != 0 {
		e.Status = status // that it wrote
	}
	if err == nil && status >= 400 {
		e.Outcome = "upstream"
	}
	c.obs.Request(call.R, e)
	var ue *wire.UpstreamError
	if errors.As(err, &ue) && ue.Status < 500 {
		return err // the administrator's own rule; Caddy renders it
	}
	if ch, ok := errors.AsType[*challenge](err); ok {
		wire.WriteJSON(call.W, http.StatusUnauthorized, c.challengeInWords(call.R, ch))
		return nil
	}
	if refused, ok := wire.RefusalOf(err); ok {
		wire.CopyRefusal(call.W, refused.Answer)
		return nil
	}
	var page *rendered
	switch {
	case err == nil || errors.As(err, &page):
	case ForPerson(call.R):
		_, _ = c.people.failedPage(call, err) // it was reported above
	default:
		me := c.inWords(call.R, wire.ErrorOf(err))
		wire.WriteError(call.W, me, form(me))
	}
	return nil
}

// rendered is a failure that the client has been told of already, as a page.
type rendered struct{ *wire.MatrixError }

// Unwrap gives access to the failure.
func (e *rendered) Unwrap() error { return e.MatrixError }

// homeserverOf makes it of a normalized configuration.
func homeserverOf(cfg *Config) *hsapi.Homeserver {
	return &hsapi.Homeserver{
		Prefix: cfg.UpstreamPrefix, Version: cfg.UpstreamVersion, AsksUs: cfg.Callback && !cfg.NativeReset, NoEmail: cfg.NoEmail,
	}
}

// NewIdentity makes the homeserver-facing side of a normalized configuration.
func NewIdentity(cfg Config, svc *verification.Service, obs Observer) *identity.Handler {
	face := identity.Config{Name: cfg.IdentityName, Allow: cfg.IdentityAllow, MaxBody: cfg.MaxBody}
	if cfg.Phones != nil {
		face.Numbers = &cfg.Phones.Policy
	}
	return identity.New(face, svc, obs)
}

// Unavailable answers in place of a [Client] while the store cannot be opened.
type Unavailable struct{ client *Client }

// NewUnavailable makes it of a normalized configuration.
func NewUnavailable(cfg Config, opts PageOptions) (*Unavailable, error) {
	c := &Client{cfg: cfg}
	c.people = &people{cfg: &c.cfg, page: newPages(cfg.PublicURL)}
	return &Unavailable{c}, c.SetPages(opts)
}

func (u *Unavailable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !ForPerson(r) {
		wire.NotReady(w)
		return
	}
	_, _ = u.client.people.failedPage(&wire.Call{W: w, R: r}, wire.Unavailable(nil)) // whoever calls has a log
}

// inWords is a refusal as the one who made the request is told it. Without words in
// their language it stays as it is.
func (c *Client) inWords(r *http.Request, e *wire.MatrixError) *wire.MatrixError {
	if e.Say == "" {
		return e
	}
	words := c.people.page.Words(c.cfg.brandOf(r), r.Header.Get("Accept-Language"))
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
	said.Message = c.inWords(r, &wire.MatrixError{Message: ch.Message, Say: ch.say}).Message
	return &said
}
