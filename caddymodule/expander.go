// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"reflect"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
)

func newExpander() *config.Expander { return config.NewExpander(reflect.TypeFor[App]()) }

func newDraft() *config.Expander { return config.NewDraft(reflect.TypeFor[App]()) }

// servers expands the names of servers.
func servers(e *config.Expander, option string, values []string) []outbound.Name {
	var names []outbound.Name
	for _, raw := range e.List(option, values) {
		name, err := outbound.ParseName(raw)
		if err != nil {
			e.Failf("%s %s: %w; write host or host:port", option, raw, err)
			continue
		}
		names = append(names, name)
	}
	return names
}

// recall finds the outline of a configuration. It is to be called before guests are
// loaded, which takes them out of the configuration.
func recall(a *App) *config.Outline {
	raw, err := json.Marshal(a)
	if err != nil {
		return nil
	}
	return config.Recall(raw)
}
