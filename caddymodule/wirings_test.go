// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
)

// miswired provisions a whole configuration as a load does, opens nothing, and
// returns what would be said of it.
func miswired(t *testing.T, raw []byte) []doctor.Finding {
	t.Helper()
	var cfg *caddy.Config
	if err := caddy.StrictUnmarshalJSON(raw, &cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Admin = &caddy.AdminConfig{Disabled: true}
	cfg.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{WriterRaw: []byte(`{"output":"discard"}`)}}}}
	// An authority for each of them would take longer than everything else.
	cfg.StorageRaw = fmt.Appendf(nil, `{"module":"file_system","root":%q}`, storageDir())
	ctx, err := caddy.ProvisionContext(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	mod, err := ctx.App("threepid")
	if err != nil {
		t.Fatal(err)
	}
	app := mod.(*caddymodule.App)
	defer func() {
		if err := app.Cleanup(); err != nil {
			t.Errorf("clean up: %v", err)
		}
	}()
	return app.Miswired()
}

// TestWiring looks at every Caddyfile in testdata/wiring. What is said of a bad
// one is below its rule; of a good one nothing is said. With UPDATE_GOLDEN=1 the
// expectations are rewritten.
func TestWiring(t *testing.T) {
	files, err := filepath.Glob("testdata/wiring/*.caddytest")
	if err != nil || len(files) < 50 {
		t.Fatalf("got %d golden files (%v), want all of them", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddytest")
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(raw), goldenRule)
			adapted, err := adapt(input)
			if err != nil {
				t.Fatal(err)
			}
			var lines strings.Builder
			for _, f := range miswired(t, adapted) {
				fmt.Fprintf(&lines, "%s [%s] %s\n", f.Subject, f.Code, f.Problem)
				if f.Advice == "" {
					t.Errorf("%s: there is no advice", f.Code)
				}
			}
			got := strings.TrimSpace(lines.String())
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(file, []byte(input+goldenRule+got+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if got != strings.TrimSpace(want) {
				t.Errorf("got\n%s\nwant\n%s", got, strings.TrimSpace(want))
			}
			if bad := strings.HasPrefix(name, "bad_"); bad != (got != "") {
				t.Errorf("got %q, want something: %v, as the file's name says", got, bad)
			}
		})
	}
}
