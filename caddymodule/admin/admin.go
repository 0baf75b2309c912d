// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
)

func init() {
	caddy.RegisterModule(new(API))
}

// Base is where Caddy's admin endpoint has our routes.
const Base = "/threepid/"

// API serves the state of the verification on Caddy's admin endpoint:
//
//	GET  /threepid/health/live    whether the process works
//	GET  /threepid/health/ready   whether it can verify addresses: 200 or 503
//	GET  /threepid/status         the queue and the relays
//	POST /threepid/doctor         looks for what is wrong
//	POST /threepid/sessions/find  {"sid": ...}, {"pseudonym": ...}, {"address": ...} or {"all": true}
//	POST /threepid/sessions/resend            {"sid": ...}
//	POST /threepid/sessions/revoke            {"sid": ...} or {"address": ...}
//	POST /threepid/addresses/find, /forget    {"address": ...}, and "medium" if need be
//	POST /threepid/suppressions/add, /remove  the same
//	GET  /threepid/suppressions   addresses that get no mail, as pseudonyms
//	GET  /threepid/limits         who is limited, and what may still be sent
//	GET  /threepid/sms            what is spent on messages to phones, and paused
//	POST /threepid/sms/resume     {"prefix": ...} or {"all": true}
//	POST /threepid/keys/rotate    begins to use a new key
//	POST /threepid/keys/prune     drops keys that nothing needs any more
//	POST /threepid/keys/check-copy            {"keys": [{"id": ..., "sum": ...}]}
//	POST /threepid/store/backup   answers with a backup
//	POST /threepid/send-test      {"to": "<address or +number>"}
//
// What is posted needs the header `Sec-Threepid-Admin: 1`, the content type
// application/json, and an object, which is empty where none is shown here: see
// ADR 20.
//
// It also keeps the metrics of that endpoint whole: Caddy sets the endpoint up
// before any app, and leaves it as it is when the configuration is then
// rejected. If another app fails first, ours is never provisioned, and its
// counters would be missing until the next reload.
type API struct{}

// CaddyModule returns the Caddy module information.
func (*API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.threepid",
		New: func() caddy.Module { return new(API) },
	}
}

// Provision registers the collectors.
func (*API) Provision(ctx caddy.Context) error {
	return caddymodule.RegisterMetrics(ctx.GetMetricsRegistry())
}

func (a *API) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: Base, Handler: caddy.AdminHandlerFunc(a.serve)}}
}

var endpoints = map[string]endpoint{
	"health/live":  shows(live),
	"health/ready": shows(ready),
	"status":       shows(showStatus),
	"doctor":       does(runDoctor),
	"send-test":    does(sendTest),

	"sessions/find":       does(findSessions),
	"sessions/resend":     does(resend),
	"sessions/revoke":     does(revoke),
	"addresses/find":      does(findAddress),
	"addresses/forget":    does(forget),
	"limits":              shows(showLimits),
	"suppressions":        shows(listSuppressions),
	"suppressions/add":    does(suppress),
	"suppressions/remove": does(unsuppress),

	"sms":             shows(showPhones),
	"sms/resume":      does(resume),
	"keys/rotate":     does(rotateKeys),
	"keys/prune":      does(pruneKeys),
	"keys/check-copy": does(checkCopy),
	"store/backup":    does(backup),
}

// Errors of the admin endpoint.
var (
	errNoEndpoint  = errors.New("there is no such endpoint")
	errWrongMethod = errors.New("method not allowed")
)

// maxTime bounds one request.
const maxTime = time.Minute

// serve finds the endpoint, and the app of the configuration that runs now: the
// admin endpoint outlives configurations.
func (a *API) serve(w http.ResponseWriter, r *http.Request) error {
	path := strings.TrimPrefix(r.URL.Path, Base)
	asked, ok := endpoints[path]
	switch {
	case !ok:
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errNoEndpoint}
	case r.Method != asked.method:
		w.Header().Set("Allow", asked.method)
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errWrongMethod}
	}
	do, err := asked.read(r)
	if err != nil {
		return err
	}
	app, err := caddymodule.Running()
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: err}
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxTime)
	defer cancel()
	answer, err := do(ctx, app)
	if err != nil {
		return err
	}
	if stream, ok := answer.(streamed); ok {
		return stream.serve(r.Context(), w)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(answer)
}

// refused is an error that the operator has caused.
func refused(err error) error {
	return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
}

// Interface guards
var (
	_ caddy.AdminRouter = (*API)(nil)
	_ caddy.Provisioner = (*API)(nil)
)
