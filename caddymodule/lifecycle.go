// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/instance"
)

// errUnloaded is what a request gets that reaches a configuration which never
// served one and is gone.
var errUnloaded = errors.New("the configuration was unloaded")

// ErrNotUsed says that nobody has configured the app.
var ErrNotUsed = errors.New("the running configuration does not use threepid")

// Running is the app of the configuration that runs now.
func Running() (*App, error) {
	ctx := caddy.ActiveContext()
	if ctx.Context == nil {
		return nil, ErrNotUsed
	}
	mod, err := ctx.AppIfConfigured("threepid")
	if err != nil {
		return nil, ErrNotUsed
	}
	app, ok := mod.(*App)
	if !ok {
		return nil, ErrNotUsed
	}
	return app, nil
}

// Start opens the store and starts the deliveries. An error rejects the
// configuration, and the one before it stays in force.
func (a *App) Start() error {
	inst, err := a.Open()
	if err != nil {
		return err
	}
	a.started.Store(true)
	a.tell()
	a.mu.Lock()
	defer a.mu.Unlock()
	return inst.Start()
}

// Open returns the instance, and makes it if this is the first call: by Start,
// or by a request when the HTTP server was started before this app.
func (a *App) Open() (*instance.Instance, error) {
	if inst := a.running.Load(); inst != nil {
		return inst, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if inst := a.running.Load(); inst != nil {
		return inst, nil
	}
	if a.closed {
		return nil, errUnloaded
	}
	inst, err := a.newInstance()
	if err != nil {
		return nil, err
	}
	a.running.Store(inst)
	return inst, nil
}

// newInstance does all the I/O of starting. When it fails it has given back what
// it had taken.
func (a *App) newInstance() (*instance.Instance, error) {
	key, shared, err := acquireStore(a.store, a.settings.KeyFile)
	if err != nil {
		return nil, err
	}
	inst, err := instance.New(a.settings.Config, shared)
	if err != nil {
		return nil, errors.Join(err, releaseStore(key))
	}
	a.key = key
	return inst, nil
}

// unavailable answers what is ours while there is no instance.
func (a *App) unavailable() (http.Handler, error) {
	return instance.Unavailable(a.settings.Config)
}

// Stop ends the deliveries. Those in flight hold the store until they are done;
// what is left is for the next configuration.
func (a *App) Stop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopSending()
	return nil
}

func (a *App) stopSending() {
	if inst := a.running.Load(); inst != nil {
		inst.Stop()
	}
}

// validated reports whether this is the end of `caddy validate`: Caddy has set up
// all apps, started none, and now takes the configuration away. It has no other
// way to tell a module of that.
func (a *App) validated() bool {
	if a.ended == nil || a.started.Load() || a.running.Load() != nil {
		return false
	}
	cause := a.ended()
	return cause != nil && cause.Error() == "validation complete"
}

// Cleanup gives the store back. It is also called when Provision or Start have
// failed, and may be called again.
func (a *App) Cleanup() error {
	if a.validated() {
		a.tell()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.stopSending()
	if a.running.Load() == nil || a.released {
		return nil
	}
	// A request that comes now still finds the instance, and works as long as
	// another configuration keeps the same store open.
	a.released = true
	return releaseStore(a.key)
}
