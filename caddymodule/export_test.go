// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/emailpolicy"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
)

// The tests are another package, because they run what users run: the app with its
// guests, the admin API and the commands, all of which know this package. What they see
// of its inside stands here.
var (
	AcquireStore  = acquireStore
	ReleaseStore  = releaseStore
	ProcessLogger = processLogger
	NewExpander   = newExpander
	AdminPlace    = adminPlace
	ListenAt      = listenAt
	ParseNetwork  = parseNetwork
	ToUpstream    = toUpstream
	FromUpstream  = fromUpstream
)

const AdminSocket = adminSocket

// Settings are the options of an app, resolved.
func (a *App) Settings() *instance.Config { return &a.settings.Config }

// Instance is what an app runs, or nil.
func (a *App) Instance() *instance.Instance { return a.running.Load() }

// Notices are the texts that Start tells the operator.
func (a *App) Notices() (texts []string) {
	for _, n := range a.notices {
		texts = append(texts, n.text)
	}
	return texts
}

// Miswired is what is said of how the sites are put together.
func (a *App) Miswired() []doctor.Finding { return a.advised(a.miswirings()...) }

// MiswiredBeside is the same beside other apps.
func (a *App) MiswiredBeside(sibling func(string) (any, error)) []doctor.Finding {
	a.sibling = sibling
	return a.Miswired()
}

// NewHandler and NewIdentityHandler make handlers as Provision does.
func NewHandler(app *App) *Handler { return &Handler{app: app, logger: zap.NewNop()} }

func NewIdentityHandler(app *App) *IdentityHandler {
	return &IdentityHandler{app: app, config: app.settings.HTTP, logger: zap.NewNop()}
}

// App is the one that a handler has found.
func (h *Handler) App() *App { return h.app }

func (h *IdentityHandler) App() *App { return h.app }

// Held counts the requests that are using a store.
func Held() (n int) {
	stores.Range(func(_, value any) bool {
		n += value.(pooled).Held()
		return true
	})
	return n
}

// References is how many configurations use the store of a module.
func References(module caddy.ModuleID, name string) (int, bool) {
	return stores.References(poolKey{module, name})
}

// SetNameServers has others asked about domains, until it is undone.
func SetNameServers(r emailpolicy.Resolver) (undo func()) {
	before := nameServers
	nameServers = r
	return func() { nameServers = before }
}
