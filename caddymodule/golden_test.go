// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
)

// goldenRule separates a Caddyfile from what becomes of it.
const goldenRule = "\n----------\n"

// TestGolden adapts every Caddyfile in testdata/adapt. What is expected is its
// JSON or, for a bad one, the error, which must name file and line. With
// UPDATE_GOLDEN=1 the expectations are rewritten.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddytest")
	if err != nil || len(files) < 30 {
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
			got := adaptForGolden(t, input)
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(file, []byte(input+goldenRule+got+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != strings.TrimSpace(want) {
				t.Errorf("got\n%s\nwant\n%s", got, strings.TrimSpace(want))
			}
			bad := strings.HasPrefix(name, "bad_")
			if failed := strings.HasPrefix(got, "error: "); failed != bad {
				t.Errorf("got failure %v, want %v as the file's name says", failed, bad)
			}
			if bad && !strings.Contains(got, "Caddyfile:") {
				t.Errorf("got %s, want file and line in it", got)
			}
		})
	}
}

// adaptForGolden returns the app's and the handlers' JSON, or the error.
func adaptForGolden(t *testing.T, input string) string {
	t.Helper()
	raw, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "error: " + err.Error()
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestGoldenIsStrict makes sure that what the adapter writes is what the app
// reads: every field of the JSON is one of the app's.
func TestGoldenIsStrict(t *testing.T) {
	raw, err := os.ReadFile("testdata/adapt/full.caddytest")
	if err != nil {
		t.Fatal(err)
	}
	_, want, _ := strings.Cut(string(raw), goldenRule)
	var config struct {
		Apps struct {
			Threepid json.RawMessage `json:"threepid"`
		} `json:"apps"`
	}
	if err := json.Unmarshal([]byte(want), &config); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(config.Apps.Threepid))
	dec.DisallowUnknownFields()
	var app caddymodule.App
	if err := dec.Decode(&app); err != nil {
		t.Fatal(err)
	}
	var again, once bytes.Buffer
	encoded, err := json.Marshal(&app)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(json.Compact(&again, encoded), json.Compact(&once, config.Apps.Threepid)); err != nil {
		t.Fatal(err)
	}
	var a, b map[string]any
	if err := errors.Join(json.Unmarshal(again.Bytes(), &a), json.Unmarshal(once.Bytes(), &b)); err != nil {
		t.Fatal(err)
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			t.Errorf("%s is lost when the JSON is read and written again", key)
		}
	}
	if got, want := len(a), len(b); got != want || got < 16 {
		t.Errorf("got %d members, want %d, all options of the app", got, want)
	}
}

// TestExample holds Caddyfile.example to what a user will do with it.
func TestExample(t *testing.T) {
	raw, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	if formatted := caddyfile.Format(raw); !bytes.Equal(formatted, raw) {
		t.Error("Caddyfile.example is not formatted; run caddy fmt --overwrite Caddyfile.example")
	}
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(raw, map[string]any{"filename": "Caddyfile.example"})
	if err != nil || len(warnings) != 0 {
		t.Fatalf("adapt: %v, warnings %v", err, warnings)
	}
	for _, want := range []string{
		`"handler":"threepid"`, `"handler":"threepid_identity"`, `"dial":"127.0.0.1:8008"`,
		`"filter":"multi_regexp"`, `"resp_headers\u003eLocation"`, `"issuers":[{"module":"internal"}]`,
	} {
		if !bytes.Contains(adapted, []byte(want)) {
			t.Errorf("the adapted example has no %s", want)
		}
	}
	// Somewhere else than where a user's data is.
	if err := validate(adapted); err != nil {
		t.Errorf("validate: %v", err)
	}
	if _, err := os.Stat(config.DataPath("")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("validating has made %s (%v)", config.DataPath(""), err)
	}
	// What is commented out must be right too.
	commented := uncomment(raw, "next_link ", "username ", "password {", "uri ")
	t.Setenv("SMTP_PASSWORD", "hunter2")
	if _, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(commented, nil); err != nil {
		t.Errorf("with everything in use: %v", err)
	}
	if bytes.Equal(commented, raw) {
		t.Error("nothing was commented out")
	}
}

// uncomment brings lines to life that begin with one of the words.
func uncomment(raw []byte, words ...string) []byte {
	lines := strings.Split(string(raw), "\n")
	for i, line := range lines {
		text, found := strings.CutPrefix(strings.TrimSpace(line), "# ")
		for _, word := range words {
			if found && strings.HasPrefix(text, word) {
				lines[i] = text
			}
		}
	}
	return []byte(strings.Join(lines, "\n"))
}
