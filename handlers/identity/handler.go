// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Handler is the homeserver-facing side: the paths of an identity server
// that a homeserver calls to verify an address, and nothing else. Every
// refusal of getValidated3pid is 200 with M_SESSION_NOT_VALIDATED: the only
// answer that Synapse up to 1.3.1 turns into a 401 for its client, and the
// only one that Dendrite does not turn into a 500.
type Handler struct {
	cfg    Config
	svc    *verification.Service
	obs    report.Observer
	prefix string
}

// Config is what the homeserver-facing side needs to know.
type Config struct {
	// Name is the id_server that the homeserver is told to ask.
	Name string
	// Allow are the networks that may reach it.
	Allow []netip.Prefix
	// MaxBody bounds request bodies, in bytes.
	MaxBody int64
	// Numbers says which phone numbers are taken; nil means none.
	Numbers *phone.Policy
}

// New makes the homeserver-facing side.
func New(cfg Config, svc *verification.Service, obs report.Observer) *Handler {
	_, path, found := strings.Cut(cfg.Name, "/")
	if found {
		path = "/" + path
	}
	return &Handler{cfg: cfg, svc: svc, obs: obs, prefix: path}
}

// Endpoint answers one path; nil means that it has written its answer.
type Endpoint struct {
	name   string
	Method string
	serve  func(*Handler, http.ResponseWriter, *http.Request) error
}

// Endpoints are those of homeservers that verify through an identity
// server (IS API r0.3.0; v2 where one of them calls it).
var Endpoints = map[string]Endpoint{
	"/_matrix/identity/api/v1/validate/email/requestToken":  {"validate", http.MethodPost, (*Handler).validateEmail},
	"/_matrix/identity/api/v1/validate/msisdn/requestToken": {"validate", http.MethodPost, (*Handler).validateMSISDN},
	"/_matrix/identity/api/v1/3pid/getValidated3pid":        {"validated", http.MethodGet, (*Handler).validated},
	"/_matrix/identity/api/v1/3pid/unbind":                  {"unbind", http.MethodPost, (*Handler).unbind},
	"/_matrix/identity/v2/3pid/unbind":                      {"unbind", http.MethodPost, (*Handler).unbind},
}

// ServeHTTP answers a homeserver, and nobody else.
func (i *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	name, err := i.dispatch(w, r)
	e := report.Event{Face: "identity", Endpoint: name, Duration: time.Since(start)}
	e.Outcome, e.Status, e.Err = report.OutcomeOf(err)
	i.obs.Request(r, e)
	if err != nil {
		me := wire.ErrorOf(err)
		wire.WriteError(w, me, me.Body())
	}
}

func (i *Handler) dispatch(w http.ResponseWriter, r *http.Request) (string, error) {
	path, ok := strings.CutPrefix(r.URL.Path, i.prefix)
	endpoint, known := Endpoints[path]
	if !ok || !known || r.URL.EscapedPath() != r.URL.Path {
		return "unknown", wire.Unrecognized(http.StatusNotFound)
	}
	if !i.allowed(r) {
		// As if there were nothing here.
		return "outsider", wire.Unrecognized(http.StatusNotFound)
	}
	if r.Method != endpoint.Method {
		w.Header().Set("Allow", endpoint.Method)
		return endpoint.name, wire.Unrecognized(http.StatusMethodNotAllowed)
	}
	return endpoint.name, endpoint.serve(i, w, r)
}

// allowed looks at the peer of the connection, not at any header: a
// homeserver calls directly.
func (i *Handler) allowed(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		// A Unix socket has no address, and only this machine can reach it.
		return !strings.Contains(r.RemoteAddr, ":")
	}
	addr := peer.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(i.cfg.Allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// validateEmail is the homeserver's decision that an address may have a token.
// It names the request by the nonce that it was shown; without one this would
// be an open mail relay. send_attempt and next_link are the client's, and were
// noted with the nonce.
func (i *Handler) validateEmail(w http.ResponseWriter, r *http.Request) error {
	body, err := wire.Parameters(w, r, i.cfg.MaxBody)
	if err != nil {
		return err
	}
	nonce, err := requiredIS(body, "client_secret")
	if err != nil {
		return err
	}
	typed, err := requiredIS(body, "email")
	if err != nil {
		return err
	}
	canonical, err := address.Email(input.Address(typed))
	if err != nil {
		return wire.BadRequest("M_INVALID_EMAIL", "The email address is not valid")
	}
	return i.callback(w, r, threepid.Nonce(nonce), threepid.ThreePID{Medium: threepid.Email, Address: canonical})
}

// callback opens the session that a nonce stands for.
func (i *Handler) callback(w http.ResponseWriter, r *http.Request, nonce threepid.Nonce, to threepid.ThreePID) error {
	opened, err := i.svc.Callback(r.Context(), nonce, to)
	if errors.Is(err, verification.ErrUnknownNonce) {
		return &wire.MatrixError{Status: http.StatusForbidden, Errcode: wire.CodeForbidden, Message: "No client has requested this token"}
	}
	if err != nil {
		return err
	}
	wire.WriteJSON(w, http.StatusOK, struct {
		SID threepid.SID `json:"sid"`
	}{opened.SID})
	return nil
}

// requiredIS is object.required with the identity service's error code.
func requiredIS(body wire.Object, key string) (string, error) {
	value, ok, err := body.Text(key)
	if err == nil && !ok {
		err = wire.BadRequest(wire.CodeMissingParams, "Missing parameter: "+key)
	}
	return value, err
}

// validateMSISDN is the same for phone numbers, which stand in it as they were
// shown to the homeserver.
func (i *Handler) validateMSISDN(w http.ResponseWriter, r *http.Request) error {
	if i.cfg.Numbers == nil {
		return wire.ErrNoPhones
	}
	body, err := wire.Parameters(w, r, i.cfg.MaxBody)
	if err != nil {
		return err
	}
	nonce, err := requiredIS(body, "client_secret")
	if err != nil {
		return err
	}
	country, err := requiredIS(body, "country")
	if err != nil {
		return err
	}
	typed, err := requiredIS(body, "phone_number")
	if err != nil {
		return err
	}
	number, err := phone.Parse(typed, country, *i.cfg.Numbers)
	if err != nil {
		return wire.BadRequest("M_INVALID_ADDRESS", "The phone number is not valid")
	}
	return i.callback(w, r, threepid.Nonce(nonce), threepid.ThreePID{Medium: threepid.MSISDN, Address: number.Digits})
}

// validated is getValidated3pid. All three members must be there, or Synapse
// answers 500. Dendrite puts the client's sid into the query as it came, so a
// parameter that stands there twice is somebody's attempt to name another
// session.
func (i *Handler) validated(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if wire.AmbiguousQuery(r.URL) || len(q["sid"]) > 1 || len(q["client_secret"]) > 1 {
		return wire.BadRequest(wire.CodeInvalidParam, "The query cannot be read in one way only")
	}
	proof, err := i.svc.Validated(r.Context(), threepid.AliasSID(q.Get("sid")), threepid.AliasSecret(q.Get("client_secret")))
	if errors.Is(err, verification.ErrNotValidated) {
		wire.WriteJSON(w, http.StatusOK, wire.ErrorBody{
			Errcode: wire.CodeSessionNotValid, Error: "This validation session has not yet been completed",
		})
		return nil
	}
	if err != nil {
		return err
	}
	wire.WriteJSON(w, http.StatusOK, struct {
		Medium      threepid.Medium `json:"medium"`
		Address     string          `json:"address"`
		ValidatedAt int64           `json:"validated_at"`
	}{proof.Medium, proof.Address, proof.ValidatedAt.UnixMilli()})
	return nil
}

// unbind succeeds at once: nothing is ever bound here, and a homeserver that
// gets an error, or waits, refuses to delete an address or an account.
func (i *Handler) unbind(w http.ResponseWriter, _ *http.Request) error {
	wire.WriteJSON(w, http.StatusOK, struct{}{})
	return nil
}
