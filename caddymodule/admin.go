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
//	POST /threepid/sessions/find  {"sid": ...} or {"pseudonym": ...}
//	POST /threepid/sessions/resend, /revoke   {"sid": ...}
//	POST /threepid/addresses/forget           {"medium": ..., "address": ...}
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
	return registerMetrics(ctx.GetMetricsRegistry())
}

// Routes implements caddy.AdminRouter.
func (a *AdminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: adminBase, Handler: caddy.AdminHandlerFunc(a.serve)}}
}

// adminEndpoint answers one path with a value.
type adminEndpoint struct {
	method string
	serve  func(ctx context.Context, app *App, r *http.Request) (any, error)
}

var adminEndpoints = map[string]adminEndpoint{
	"health/live":  {http.MethodGet, adminLive},
	"health/ready": {http.MethodGet, adminReady},
	"status":       {http.MethodGet, adminStatus},
	"doctor":       {http.MethodPost, adminDoctor},
	"send-test":    {http.MethodPost, adminSendTest},

	"sessions/find":       {http.MethodPost, adminFind},
	"sessions/resend":     {http.MethodPost, adminResend},
	"sessions/revoke":     {http.MethodPost, adminRevoke},
	"addresses/forget":    {http.MethodPost, adminForget},
	"suppressions":        {http.MethodGet, adminSuppressions},
	"suppressions/add":    {http.MethodPost, adminSuppress},
	"suppressions/remove": {http.MethodPost, adminRelease},

	"sms":         {http.MethodGet, adminPhones},
	"sms/resume":  {http.MethodPost, adminResume},
	"keys/rotate": {http.MethodPost, adminRotate},
	"keys/prune":  {http.MethodPost, adminPrune},

	"keys/check-copy": {http.MethodPost, adminCheckCopy},

	"store/backup": {http.MethodPost, adminBackup},
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
	app, err := runningApp()
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: err}
	}
	ctx, cancel := context.WithTimeout(r.Context(), adminTime)
	defer cancel()
	answer, err := endpoint.serve(ctx, app, r)
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

// maxAdminBody bounds what an operator may send, in bytes.
const maxAdminBody = 64 << 10

// decodeAdmin reads the body of a request.
func decodeAdmin(r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxAdminBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return refused(errors.New("the body is not the JSON object that it should be"))
	}
	return nil
}

// Interface guards
var (
	_ caddy.AdminRouter = (*AdminAPI)(nil)
	_ caddy.Provisioner = (*AdminAPI)(nil)
)
