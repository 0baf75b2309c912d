// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(new(AdminAPI))
}

// adminBase is where Caddy's admin endpoint has our routes.
const adminBase = "/threepid/"

// AdminAPI serves the state of the verification on Caddy's admin endpoint:
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
type AdminAPI struct{}

// CaddyModule returns the Caddy module information.
func (*AdminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.threepid",
		New: func() caddy.Module { return new(AdminAPI) },
	}
}

// Provision registers the collectors.
func (*AdminAPI) Provision(ctx caddy.Context) error {
	return RegisterMetrics(ctx.GetMetricsRegistry())
}

// Routes implements caddy.AdminRouter.
func (a *AdminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: adminBase, Handler: caddy.AdminHandlerFunc(a.serve)}}
}

var adminEndpoints = map[string]adminEndpoint{
	"health/live":  shows(adminLive),
	"health/ready": shows(adminReady),
	"status":       shows(adminStatus),
	"doctor":       does(adminDoctor),
	"send-test":    does(adminSendTest),

	"sessions/find":       does(adminFind),
	"sessions/resend":     does(adminResend),
	"sessions/revoke":     does(adminRevoke),
	"addresses/find":      does(adminFindAddress),
	"addresses/forget":    does(adminForget),
	"suppressions":        shows(adminSuppressions),
	"suppressions/add":    does(adminSuppress),
	"suppressions/remove": does(adminRelease),

	"sms":             shows(adminPhones),
	"sms/resume":      does(adminResume),
	"keys/rotate":     does(adminRotate),
	"keys/prune":      does(adminPrune),
	"keys/check-copy": does(adminCheckCopy),
	"store/backup":    does(adminBackup),
}

// Errors of the admin endpoint.
var (
	errNoApp       = errors.New("the running configuration does not use threepid")
	errNoEndpoint  = errors.New("there is no such endpoint")
	errWrongMethod = errors.New("method not allowed")
)

// adminTime bounds one request.
const adminTime = time.Minute

// serve finds the endpoint, and the app of the configuration that runs now: the
// admin endpoint outlives configurations.
func (a *AdminAPI) serve(w http.ResponseWriter, r *http.Request) error {
	path := strings.TrimPrefix(r.URL.Path, adminBase)
	endpoint, ok := adminEndpoints[path]
	switch {
	case !ok:
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errNoEndpoint}
	case r.Method != endpoint.method:
		w.Header().Set("Allow", endpoint.method)
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errWrongMethod}
	}
	do, err := endpoint.read(r)
	if err != nil {
		return err
	}
	app, err := runningApp()
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: err}
	}
	ctx, cancel := context.WithTimeout(r.Context(), adminTime)
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

// runningApp is the app of the configuration that runs now.
func runningApp() (*App, error) {
	ctx := caddy.ActiveContext()
	if ctx.Context == nil {
		return nil, errNoApp
	}
	mod, err := ctx.AppIfConfigured("threepid")
	if err != nil {
		return nil, errNoApp
	}
	app, ok := mod.(*App)
	if !ok {
		return nil, errNoApp
	}
	return app, nil
}

// refused is an error that the operator has caused.
func refused(err error) error {
	return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
}

// Interface guards
var (
	_ caddy.AdminRouter = (*AdminAPI)(nil)
	_ caddy.Provisioner = (*AdminAPI)(nil)
)
