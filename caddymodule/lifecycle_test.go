// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/guests/badger"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/guests/filemailer"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// appIn provisions an app whose files are in dir.
func appIn(t *testing.T, dir string) *caddymodule.App {
	t.Helper()
	return mustProvision(t, fmt.Sprintf(
		`{"limit_address":{"count":-1},"key_file":%q,"store":{"type":"badger","path":%q},"mailer":{"type":"file","path":%q}}`,
		filepath.Join(dir, "keys.json"), filepath.Join(dir, "store"), filepath.Join(dir, "outbox")))
}

// references is how many configurations use the store of an app.
func references(t *testing.T, app *caddymodule.App) int {
	t.Helper()
	name, err := app.Settings().Store.PoolKey()
	if err != nil {
		t.Fatal(err)
	}
	refs, _ := caddymodule.References("threepid.stores.badger", name)
	return refs
}

func TestCleanupIsIdempotentAndNilSafe(t *testing.T) {
	if err := errors.Join(new(caddymodule.App).Stop(), new(caddymodule.App).Cleanup()); err != nil {
		t.Errorf("clean up what was never provisioned: %v", err)
	}
	app := appIn(t, t.TempDir())
	if err := errors.Join(app.Cleanup(), app.Cleanup()); err != nil {
		t.Errorf("clean up what was never started: %v", err)
	}
	app = appIn(t, t.TempDir())
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	if got := references(t, app); got != 1 {
		t.Fatalf("got %d references after Start, want 1", got)
	}
	if err := errors.Join(app.Stop(), app.Stop(), app.Cleanup(), app.Cleanup(), app.Stop()); err != nil {
		t.Errorf("stop and clean up twice: %v", err)
	}
	if got := references(t, app); got != 0 {
		t.Errorf("got %d references after Cleanup, want none", got)
	}
}

func TestCleanupReleasesOnlyWhatWasAcquired(t *testing.T) {
	dir := t.TempDir()
	running := appIn(t, dir)
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	// Provisioned and cleaned up, as by caddy validate.
	if err := appIn(t, dir).Cleanup(); err != nil {
		t.Error(err)
	}
	// Failed in Start.
	failing := appIn(t, dir)
	failing.Settings().KeyFile = filepath.Join(dir, "store") // a directory
	if err := failing.Start(); err == nil {
		t.Error("got no error for a key file that is a directory")
	}
	if err := failing.Cleanup(); err != nil {
		t.Error(err)
	}
	// Started and never stopped, as when another app fails to start.
	started := appIn(t, dir)
	if err := errors.Join(started.Start(), started.Cleanup()); err != nil {
		t.Error(err)
	}
	if got := references(t, running); got != 1 {
		t.Errorf("got %d references, want 1", got)
	}
	if err := running.Instance().Service.Ping(t.Context()); err != nil {
		t.Errorf("the running configuration has lost its store: %v", err)
	}
}

// call sends a request through a handler of the app.
func call(t *testing.T, app *caddymodule.App, r *http.Request, next caddyhttp.Handler) *httptest.ResponseRecorder {
	t.Helper()
	h := caddymodule.NewHandler(app)
	rec := httptest.NewRecorder()
	if err := h.ServeHTTP(rec, r, next); err != nil {
		t.Fatalf("got error %v", err)
	}
	return rec
}

func tokenRequest(secret string) *http.Request {
	// A purpose about which no homeserver is asked.
	return httptest.NewRequest(http.MethodPost, "/_matrix/client/r0/account/3pid/email/requestToken",
		strings.NewReader(`{"client_secret":"`+secret+`","email":"alice@example.test","send_attempt":1}`))
}

var homeserverAnswers = caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusTeapot)
	return nil
})

func TestRequestBeforeStart(t *testing.T) {
	app := appIn(t, t.TempDir())
	if rec := call(t, app, tokenRequest("s"), homeserverAnswers); rec.Code != http.StatusOK {
		t.Fatalf("got %d %s, want 200 before Start", rec.Code, rec.Body)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	if got := references(t, app); got != 1 {
		t.Errorf("got %d references, want 1", got)
	}
	// What was asked for before Start is sent after it.
	awaitFiles(t, app.Settings().Mailer.(*filemailer.Mailer).Folder(), 1)
	if err := errors.Join(app.Stop(), app.Cleanup()); err != nil {
		t.Error(err)
	}
	if got := references(t, app); got != 0 {
		t.Errorf("got %d references after Cleanup, want none", got)
	}
}

// awaitFiles waits for mails in a folder.
func awaitFiles(t *testing.T, dir string, want int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) >= want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %d mails, want %d", len(files), want)
		}
	}
}

func TestRequestsWithoutAStore(t *testing.T) {
	broken := appIn(t, t.TempDir())
	if err := os.WriteFile(broken.Settings().Store.(*badger.Store).Folder(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unloaded := appIn(t, t.TempDir())
	if err := unloaded.Cleanup(); err != nil {
		t.Fatal(err)
	}
	for name, app := range map[string]*caddymodule.App{"broken": broken, "unloaded": unloaded} {
		rec := call(t, app, tokenRequest("s"), homeserverAnswers)
		if rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), `"errcode":"M_UNKNOWN"`) {
			t.Errorf("%s: got %d %s, want 503 and M_UNKNOWN", name, rec.Code, rec.Body)
		}
		if got := rec.Header().Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("%s: got Access-Control-Allow-Origin %q, want *", name, got)
		}
		rec = call(t, app, httptest.NewRequest(http.MethodGet, "/_matrix/client/r0/sync", nil), homeserverAnswers)
		if rec.Code != http.StatusTeapot {
			t.Errorf("%s: got %d for a request of the homeserver's, want its answer", name, rec.Code)
		}
		for _, path := range []string{handlers.PagePath(verification.Email) + "?sid=a&token=b", handlers.RefusePath, "/_threepid/x"} {
			page := httptest.NewRequest(http.MethodGet, path, nil)
			page.Header.Set("Accept", "text/html")
			page.Header.Set("Accept-Language", "de")
			rec = call(t, app, page, homeserverAnswers)
			if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" || !strings.Contains(rec.Body.String(), "Versuchen Sie es in 1 Minute noch einmal.") {
				t.Errorf("%s: got %d %s for %s, want a page that says when to try again", name, rec.Code, rec.Body, path)
			}
		}
		rec = httptest.NewRecorder()
		face := caddymodule.NewIdentityHandler(app)
		if err := face.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil), nil); err != nil || rec.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: got %d (%v) from the homeserver-facing side, want 503", name, rec.Code, err)
		}
	}
}

// TestRequestsAfterCleanup: the server of an old configuration may still have
// connections.
func TestRequestsAfterCleanup(t *testing.T) {
	dir := t.TempDir()
	old := appIn(t, dir)
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	sid := call(t, old, tokenRequest("s"), homeserverAnswers).Body.String()
	current := appIn(t, dir)
	if err := errors.Join(current.Start(), old.Stop(), old.Cleanup()); err != nil {
		t.Fatal(err)
	}
	if got := call(t, old, tokenRequest("s"), homeserverAnswers).Body.String(); got != sid {
		t.Errorf("got %s while the store is shared, want %s", got, sid)
	}
	// It wakes the outbox of the current configuration, not its own.
	call(t, old, tokenRequest("other"), homeserverAnswers)
	awaitFiles(t, filepath.Join(dir, "outbox"), 2)
	if err := errors.Join(current.Stop(), current.Cleanup()); err != nil {
		t.Fatal(err)
	}
	rec := call(t, old, tokenRequest("s"), homeserverAnswers)
	if rec.Code < 500 || !strings.Contains(rec.Body.String(), `"errcode":"M_UNKNOWN"`) {
		t.Errorf("got %d %s from a closed store, want a Matrix error", rec.Code, rec.Body)
	}
}

func TestErrorsOfNextPassUnchanged(t *testing.T) {
	app := appIn(t, t.TempDir())
	h := caddymodule.NewHandler(app)
	plain := errors.New("plain")
	for _, want := range []error{caddyhttp.Error(http.StatusForbidden, plain), caddyhttp.Error(http.StatusBadGateway, plain), plain} {
		next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return want })
		rec := httptest.NewRecorder()
		got := h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/_matrix/client/r0/sync", nil), next)
		if got != want { //nolint:errorlint // it must be the very same
			t.Errorf("got error %v, want the very error of the next handler, %v", got, want)
		}
		if rec.Body.Len() != 0 || rec.Header().Get("Content-Type") != "" {
			t.Errorf("got answer %q, want none beside the error", rec.Body)
		}
	}
}

func TestUpstreamErrors(t *testing.T) {
	inner := caddyhttp.Error(http.StatusGatewayTimeout, context.DeadlineExceeded)
	err := caddymodule.ToUpstream(fmt.Errorf("wrapped: %w", inner))
	var ue *handlers.UpstreamError
	if !errors.As(err, &ue) || ue.Status != http.StatusGatewayTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the status and the cause", err)
	}
	if got := caddymodule.ToUpstream(nil); got != nil {
		t.Errorf("got %v, want nil", got)
	}
	if got := caddymodule.FromUpstream(nil); got != nil {
		t.Errorf("got %v, want nil", got)
	}
}

// original is a writer that can be told from any wrapper of it.
type original struct{ http.ResponseWriter }

func TestPassThroughGetsTheOriginalWriter(t *testing.T) {
	app := appIn(t, t.TempDir())
	h := caddymodule.NewHandler(app)
	w := original{httptest.NewRecorder()}
	for _, path := range []string{"/_matrix/client/r0/sync", "/", "/_matrix/client/r0/room_keys/keys?version=1"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		called := false
		err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(got http.ResponseWriter, req *http.Request) error {
			called = true
			if got != http.ResponseWriter(w) || req != r {
				t.Errorf("%s: got writer %T, want the original writer and request", path, got)
			}
			if caddymodule.Held() != 0 {
				t.Errorf("%s: the store is held by a request that is passed on", path)
			}
			return nil
		}))
		if err != nil || !called {
			t.Errorf("%s: got %v, called %v", path, err, called)
		}
	}
}

func TestAbortPasses(t *testing.T) {
	app := appIn(t, t.TempDir())
	h := caddymodule.NewHandler(app)
	defer func() {
		if got := recover(); got != http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
			t.Errorf("got panic %v, want %v", got, http.ErrAbortHandler)
		}
		if caddymodule.Held() != 0 {
			t.Error("the store is still held after a panic")
		}
	}()
	_ = h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/_matrix/client/r0/sync", nil),
		caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }))
}

// TestTwoHandlersShareOneApp: nothing in provisioning may assume to be alone.
func TestTwoHandlersShareOneApp(t *testing.T) {
	cfg := &caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}}
	ctx, err := caddy.ProvisionContext(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var a, b caddymodule.Handler
	var face caddymodule.IdentityHandler
	if err := errors.Join(a.Provision(ctx), b.Provision(ctx), face.Provision(ctx)); err != nil {
		t.Fatal(err)
	}
	if a.App() == nil || a.App() != b.App() || a.App() != face.App() {
		t.Errorf("got apps %p, %p and %p, want one", a.App(), b.App(), face.App())
	}
	if err := errors.Join(caddymodule.RegisterMetrics(ctx.GetMetricsRegistry()), a.App().Cleanup()); err != nil {
		t.Error(err)
	}
}
