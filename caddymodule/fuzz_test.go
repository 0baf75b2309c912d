// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
)

// FuzzCaddyfile adapts arbitrary Caddyfiles. One that is taken is adapted to the
// same JSON each time, and to what the app reads.
func FuzzCaddyfile(f *testing.F) {
	files, err := filepath.Glob("testdata/adapt/*.caddytest")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		input, _, _ := strings.Cut(string(raw), goldenRule)
		f.Add(input)
	}
	f.Add("{\n\tthreepid {\n\t\tmailer smtp {\n\t\t\tpassword \"\x00\"\n")
	adapter := caddyconfig.GetAdapter("caddyfile")
	f.Fuzz(func(t *testing.T, input string) {
		if strings.Contains(input, "import") || strings.Contains(input, "{$") {
			return // reads files and the environment, which are not the module's
		}
		options := map[string]any{"filename": "Caddyfile"}
		raw, _, err := adapter.Adapt([]byte(input), options)
		if err != nil {
			return
		}
		again, _, err := adapter.Adapt([]byte(input), options)
		if err != nil || !bytes.Equal(raw, again) {
			t.Errorf("adapted to\n%s\nand then to\n%s, %v", raw, again, err)
		}
		var config struct {
			Apps struct {
				Threepid json.RawMessage `json:"threepid"`
			} `json:"apps"`
		}
		var app caddymodule.App
		if err := json.Unmarshal(raw, &config); err != nil {
			t.Fatal(err)
		}
		if config.Apps.Threepid == nil {
			return
		}
		if err := caddy.StrictUnmarshalJSON(config.Apps.Threepid, &app); err != nil {
			t.Errorf("the app does not read what it was adapted to: %v\n%s", err, raw)
		}
	})
}
