// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"pgregory.net/rapid"
)

// A table of faults has entries of a title, lines of a Caddyfile, and what
// `caddy validate` says of them.
const (
	entryRule  = "====\n"
	answerRule = "----\n"
	accepted   = "ok\n"
)

// fault is one entry of a table. A good one is accepted.
type fault struct {
	table, title, lines, want string
}

func (f *fault) good() bool { return strings.HasPrefix(f.title, "good ") }

// config is the Caddyfile around the lines, which begin at its third line. Those
// of a whole one begin with a brace, or are of a site.
func (f *fault) config(dir string) string {
	lines := strings.ReplaceAll(f.lines, "$DIR", dir)
	if f.table == "sites" {
		return lines
	}
	return "{\n\tthreepid {\n" + lines + "\t}\n}\n"
}

func readFaults(t testing.TB) []*fault {
	files, err := filepath.Glob("testdata/faults/*.txt")
	if err != nil || len(files) < 8 {
		t.Fatalf("got %d tables (%v), want all", len(files), err)
	}
	var all []*fault
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for entry := range strings.SplitSeq(strings.TrimPrefix(string(raw), entryRule), entryRule) {
			head, want, _ := strings.Cut(entry, answerRule)
			title, lines, _ := strings.Cut(head, "\n")
			all = append(all, &fault{strings.TrimSuffix(filepath.Base(file), ".txt"), title, lines, want})
		}
	}
	return all
}

func writeFaults(t *testing.T, all []*fault) {
	tables := map[string]string{}
	for _, f := range all {
		tables[f.table] += entryRule + f.title + "\n" + f.lines + answerRule + f.want
	}
	for name, text := range tables {
		if err := os.WriteFile("testdata/faults/"+name+".txt", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// caddyPrefix is what Caddy writes before our words: of that it may be either,
// as apps are set up in any order.
var caddyPrefix = regexp.MustCompile(`^(?:parsing caddyfile tokens for '[a-z_]+': |loading threepid app module: (?:provision threepid: )?|loading http app module: .*provision http.handlers.threepid_identity: )`)

// verdict is what `caddy validate` says.
func verdict(config, dir string) string {
	raw, err := adapt(config)
	if err == nil {
		err = validate(raw)
	}
	if err == nil {
		return accepted
	}
	return strings.ReplaceAll(caddyPrefix.ReplaceAllString(err.Error(), ""), dir, "$DIR") + "\n"
}

// TestFaultsAreTold goes through the tables of what operators get wrong. With
// UPDATE_GOLDEN=1 the answers are rewritten; each is to be read once: it says
// first which option, then what is wrong, then what to write, and where.
func TestFaultsAreTold(t *testing.T) {
	all, dir := readFaults(t), fixtures(t)
	for _, f := range all {
		t.Run(f.table+"/"+f.title, func(t *testing.T) {
			got := verdict(f.config(dir), dir)
			if (got == accepted) != f.good() {
				t.Errorf("got %q", got)
			}
			if os.Getenv("UPDATE_GOLDEN") != "" {
				f.want = got
			}
			if got != f.want {
				t.Errorf("got\n%s\nwant\n%s", got, f.want)
			}
			for line := range strings.Lines(got) {
				ofHandler := f.table == "sites" && strings.Contains(f.lines, "{env.") // Caddy has forgotten the line
				if got != accepted && !ofHandler && !strings.Contains(line, ", at Caddyfile:") {
					t.Errorf("got %q, want file and line", line)
				}
				if len(line) > 260 {
					t.Errorf("got %d characters: %s", len(line), line)
				}
			}
		})
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		writeFaults(t, all)
	}
}

// starts makes Caddy run what it has validated.
func starts(dir, config string) error {
	raw, err := adapt(config)
	if err != nil {
		return err
	}
	place, err := os.MkdirTemp(dir, "run")
	if err != nil {
		return err
	}
	if raw, err = setAside(place, raw); err != nil {
		return err
	}
	defer setHome(setHome(place))
	return errors.Join(caddy.Load(raw, true), caddy.Stop())
}

// setHome says where Caddy keeps what has no folder in a configuration, and
// returns where that was.
func setHome(dir string) (before string) {
	before = os.Getenv("XDG_DATA_HOME")
	if err := os.Setenv("XDG_DATA_HOME", dir); err != nil {
		panic(err) // there is no such name
	}
	return before
}

// setAside keeps Caddy from touching anything but a place, and gives the app a
// store there unless it has one.
func setAside(place string, raw []byte) ([]byte, error) {
	var config map[string]any
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	config["admin"] = map[string]any{"disabled": true, "config": map[string]any{"persist": false}}
	config["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "discard"}}}}
	config["storage"] = map[string]any{"module": "file_system", "root": storageDir()}
	apps, _ := config["apps"].(map[string]any)
	if app, ok := apps["threepid"].(map[string]any); ok {
		own := map[string]any{"key_file": place + "/keys.json", "store": map[string]any{"type": "badger", "path": place + "/store"}}
		maps.Copy(own, app)
		apps["threepid"] = own
	}
	return json.Marshal(config)
}

// TestWhatIsValidatedStarts: nothing that `caddy validate` lets pass keeps Caddy
// from starting.
func TestWhatIsValidatedStarts(t *testing.T) {
	dir := fixtures(t)
	for _, f := range readFaults(t) {
		if f.good() && f.table != "sites" {
			if err := starts(dir, f.config(dir)); err != nil {
				t.Errorf("%s/%s: %v", f.table, f.title, err)
			}
		}
	}
}

// TestAnythingValidatedStarts mixes good and bad entries: what passes starts.
func TestAnythingValidatedStarts(t *testing.T) {
	dir, seen := fixtures(t), 0
	all := slices.DeleteFunc(readFaults(t), func(f *fault) bool { return f.table == "sites" })
	rapid.Check(t, func(t *rapid.T) {
		var lines strings.Builder
		used := map[string]bool{}
		for range rapid.IntRange(1, 6).Draw(t, "entries") {
			f := rapid.SampledFrom(all).Draw(t, "entry")
			if !f.good() && rapid.IntRange(0, 4).Draw(t, "leave out") > 0 {
				continue // one fault is enough to be refused
			}
			if name, _, _ := strings.Cut(strings.TrimSpace(f.lines), " "); !used[name] {
				used[name] = true
				lines.WriteString(f.lines)
			}
		}
		mixed := &fault{lines: lines.String()}
		config := mixed.config(dir)
		if verdict(config, dir) != accepted {
			return
		}
		seen++
		if err := starts(dir, config); err != nil {
			t.Fatalf("%s\nwas accepted, and does not start: %v", config, err)
		}
	})
	if seen == 0 {
		t.Error("nothing was accepted")
	}
}
