// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(strangeHandler{})
	caddy.RegisterModule(strangeMatcher{})
}

// strangeHandler and strangeMatcher are modules of somebody else's. They fail the
// test's process when they are called: an examination may not run them.
type (
	strangeHandler struct{}
	strangeMatcher struct{}
)

var errStrange = errors.New("somebody else's module was called")

func (strangeHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.threepid_test_strange", New: func() caddy.Module { return new(strangeHandler) }}
}

func (strangeHandler) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error {
	panic(errStrange)
}

func (strangeMatcher) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.threepid_test_strange", New: func() caddy.Module { return new(strangeMatcher) }}
}

func (strangeMatcher) MatchWithError(*http.Request) (bool, error) { panic(errStrange) }

// TestWiringOfJSON: configurations that no Caddyfile makes, with modules that are
// not known, and with nothing where something usually is.
func TestWiringOfJSON(t *testing.T) {
	const (
		us       = `{"handler":"threepid"}`
		proxy    = `{"handler":"reverse_proxy","upstreams":[{"dial":"127.0.0.1:8008"}]}`
		strange  = `{"handler":"threepid_test_strange"}`
		identity = `"id":{"listen":["127.0.0.1:8443"],"routes":[{"handle":[{"handler":"threepid_identity"}]}]}`
	)
	whole := `"public":{"listen":[":443"],"routes":[{"handle":[` + us + `,` + proxy + `]}]}`
	deep := us + `,` + proxy
	for range 100 {
		deep = `{"handler":"subroute","routes":[{"handle":[` + deep + `]}]}`
	}
	var doubts strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&doubts, `{"match":[{"threepid_test_strange":{}}],"handle":[{"handler":"vars","n":%d}]},`, i)
	}
	tests := []struct{ name, servers, want string }{
		{"flat", whole + "," + identity, ""},
		{"no sites at all", ``, ""},
		{"a server without routes", `"x":{"listen":[":443"]}`, ""},
		{"without a port to listen on", `"x":{"routes":[{"handle":[` + us + `,` + proxy + `]}]},` + identity, ""},
		{"deep", `"x":{"listen":[":443"],"routes":[{"handle":[` + deep + `]}]},` + identity, ""},
		{"more doubts than can be followed", `"x":{"listen":[":443"],"routes":[` + doubts.String() + `{"handle":[` + us + `]}]},` + identity, ""},
		{"a handler that is not known behind", `"x":{"listen":[":443"],"routes":[{"handle":[` + us + `,` + strange + `]}]},` + identity, ""},
		{"a handler that is not known in the place of the identity site", whole + `,"id":{"listen":[":8443"],"routes":[{"handle":[` + strange + `]},{"handle":[{"handler":"threepid_identity"}]}]}`, ""},
		{"a gate that is not known", whole + `,"x":{"listen":[":8448"],"routes":[{"handle":[` + strange + `,` + proxy + `]}]},` + identity, ""},
		{"a matcher that is not known", whole + `,"x":{"listen":[":8448"],"routes":[{"match":[{"threepid_test_strange":{}}],"handle":[` + proxy + `]}]},` + identity, ""},
		{"the contrary of one", whole + `,"x":{"listen":[":8448"],"routes":[{"match":[{"not":[{"threepid_test_strange":{}}]}],"handle":[` + proxy + `]}]},` + identity, ""},
		{"perhaps it is us", `"x":{"listen":[":443"],"routes":[{"match":[{"threepid_test_strange":{}}],"handle":[` + us + `]},{"handle":[` + proxy + `]}]},` + identity, ""},
		{"a route that is taken twice, by a group", whole + `,"x":{"listen":[":8448"],"routes":[{"group":"g","handle":[{"handler":"vars","a":1}]},{"group":"g","handle":[` + proxy + `]}]},` + identity, ""},
		{"an end before it", whole + `,"x":{"listen":[":8448"],"routes":[{"terminal":true},{"handle":[` + proxy + `]}]},` + identity, ""},
		{"a named route that calls itself", whole + `,"x":{"listen":[":8448"],"named_routes":{"a":{"handle":[{"handler":"invoke","name":"a"}]}},"routes":[{"handle":[{"handler":"invoke","name":"a"}]}]},` + identity, ""},
		{"a named route that is not there", whole + `,"x":{"listen":[":8448"],"routes":[{"handle":[{"handler":"invoke","name":"a"},` + proxy + `]}]},` + identity, ""},
		{"the contrary of what matters", whole + `,"x":{"listen":[":8448"],"routes":[{"match":[{"not":[{"path":["/_matrix/federation/*"]}]}],"handle":[` + proxy + `]}]},` + identity, "way_around"},
		{"either of two", whole + `,"x":{"listen":[":8448"],"routes":[{"match":[{"threepid_test_strange":{}},{"method":["POST"]}],"handle":[` + proxy + `]}]},` + identity, "way_around"},
		{"by a handler that passes", whole + `,"x":{"listen":[":8448"],"routes":[{"handle":[{"handler":"headers"},{"handler":"encode"},` + proxy + `]}]},` + identity, "way_around"},
		{"by the port's range", whole + `,"x":{"listen":["tcp/0.0.0.0:8448-8449"],"routes":[{"handle":[` + proxy + `]}]},` + identity, "way_around"},
		{"only reading", whole + `,"x":{"listen":[":8448"],"routes":[{"match":[{"method":["GET"]}],"handle":[` + proxy + `]}]},` + identity, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := `{"apps":{"http":{"servers":{` + tt.servers + `}},"threepid":{"public_url":"https://matrix.example.org","homeserver":{"kind":"synapse"}}}}`
			if got := codes(miswired(t, []byte(raw))); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestExaminationNeverFailsALoad: whatever goes wrong in it.
func TestExaminationNeverFailsALoad(t *testing.T) {
	app := mustProvision(t, `{}`)
	for name, sibling := range map[string]func(string) (any, error){
		"no way to ask":     nil,
		"nothing is served": func(string) (any, error) { return nil, caddy.ErrNotConfigured },
		"another app":       func(string) (any, error) { return app, nil },
		"it panics":         func(string) (any, error) { panic(errStrange) },
		"a broken server":   func(string) (any, error) { return &caddyhttp.App{Servers: map[string]*caddyhttp.Server{"x": nil}}, nil },
	} {
		if got := app.MiswiredBeside(sibling); len(got) != 0 {
			t.Errorf("%s: got %+v, want nothing", name, got)
		}
	}
}
