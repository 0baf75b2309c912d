// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// nowhere is a port at which nothing listens.
const nowhere = "127.0.0.1:1"

// attempt is one way to call a command, and the code that it ends with. Without a
// reason it is not tried.
type attempt struct {
	args []string
	code int
}

// attempts are how a command can end: it is done; there is something to look at;
// the server refuses, or something fails here; it does not run; the command line is
// wrong. A command that asks no server has no third and fourth of those.
type attempts struct {
	ok, refused attempt
	wrong       []string
	offline     bool
}

// leaves are the paths of all commands that do something.
func leaves() (paths []string) {
	var walk func(path string, cmd *cobra.Command)
	walk = func(path string, cmd *cobra.Command) {
		path = strings.TrimSpace(path + " " + cmd.Name())
		if !cmd.HasSubCommands() {
			paths = append(paths, path)
		}
		for _, sub := range cmd.Commands() {
			walk(path, sub)
		}
	}
	for _, cmd := range threepidCommand().Commands() {
		walk("", cmd)
	}
	return paths
}

// TestEveryExitCode goes over all commands that there are, with the real program.
func TestEveryExitCode(t *testing.T) {
	w := newWhole(t, "off")
	admin := fmt.Sprintf("127.0.0.1:%d", w.admin)
	sid := w.ask("v3", "register", "secret", "joe@example.test")
	used := w.ask("v3", "register", "other", "ann@example.test")
	if status, err := w.adminPost("sessions/revoke", stack.Object{"sid": used}, nil); err != nil || status != http.StatusOK {
		t.Fatalf("got %d, %v", status, err)
	}
	copied := w.path("copy.json")
	raw, err := os.ReadFile(w.path("keys.json"))
	must(t, err, os.WriteFile(copied, raw, 0o600))
	bad := w.path("bad")
	must(t, os.WriteFile(bad, []byte("{}"), 0o600))
	const joe, nobody = "joe@example.test", "nobody"
	backup := w.path("backup")
	table := map[string]attempts{
		"doctor":              {ok: attempt{nil, 2}}, // its relay is no public one
		"status":              {ok: attempt{nil, 0}},
		"find":                {ok: attempt{[]string{"--address", joe}, 0}, refused: attempt{[]string{"--address", nobody}, 2}, wrong: []string{}},
		"send-test":           {ok: attempt{[]string{"--to", joe}, 0}, refused: attempt{[]string{"--to", "a@b@c"}, 2}, wrong: []string{}},
		"sessions list":       {ok: attempt{nil, 0}, refused: attempt{[]string{"--sid", "no such"}, 2}, wrong: []string{"--sid", "x", "--pseudonym", "y"}},
		"sessions resend":     {ok: attempt{[]string{"--sid", sid}, 0}, refused: attempt{[]string{"--sid", used}, 2}, wrong: []string{}},
		"sessions revoke":     {ok: attempt{[]string{"--sid", sid}, 0}, refused: attempt{[]string{"--sid", "no such"}, 2}, wrong: []string{}},
		"limits":              {ok: attempt{nil, 0}},
		"suppressions add":    {ok: attempt{[]string{"--address", joe}, 0}, refused: attempt{[]string{"--address", nobody}, 2}, wrong: []string{}},
		"suppressions list":   {ok: attempt{nil, 0}},
		"suppressions remove": {ok: attempt{[]string{"--address", joe}, 0}, refused: attempt{[]string{"--address", nobody}, 2}, wrong: []string{}},
		"sms":                 {ok: attempt{nil, 2}, refused: attempt{nil, 2}}, // there is no sms block
		"sms-resume":          {ok: attempt{[]string{"--all"}, 2}, refused: attempt{[]string{"--all"}, 2}, wrong: []string{}},
		"forget":              {ok: attempt{[]string{"--address", joe}, 0}, refused: attempt{[]string{"--address", nobody}, 2}, wrong: []string{}},
		"check-copy":          {ok: attempt{[]string{"--file", copied}, 0}, refused: attempt{[]string{"--file", bad}, 2}, wrong: []string{}},
		"rotate-keys":         {ok: attempt{nil, 0}},
		"backup":              {ok: attempt{[]string{"--output", backup}, 0}, refused: attempt{[]string{"--output", copied}, 2}, wrong: []string{}},
		"restore": {
			ok: attempt{[]string{"--input", backup, "--store", w.path("restored")}, 0}, wrong: []string{}, offline: true,
			refused: attempt{[]string{"--input", copied, "--store", w.path("again")}, 2},
		},
		"render": {
			ok: attempt{[]string{"--output", t.TempDir()}, 0}, wrong: []string{}, offline: true,
			refused: attempt{[]string{"--output", filepath.Join(copied, "no folder")}, 2},
		},
		"ca-bundle": {
			ok:      attempt{[]string{"--system", "none"}, 0},
			refused: attempt{[]string{"--ca", "unknown"}, 2}, wrong: []string{"--json"},
		},
	}
	paths := slices.DeleteFunc(leaves(), func(path string) bool { return path == "forget" })
	for _, path := range append(paths, "forget") { // what is forgotten cannot be asked for any more
		cases, ok := table[path]
		if !ok {
			t.Errorf("%s: is not in the table", path)
			continue
		}
		run := func(want int, args ...string) (stdout, stderr string) {
			t.Helper()
			stdout, stderr, code := program(t, "caddy threepid", append(strings.Fields(path), args...)...)
			if code != want {
				t.Errorf("%s %q: got code %d, want %d\n%s%s", path, args, code, want, stdout, stderr)
			}
			if strings.Contains(stderr, joe) {
				t.Errorf("%s %q: the address is in %s", path, args, stderr)
			}
			return stdout, stderr
		}
		at := []string{"--admin", admin}
		if cases.offline {
			at = nil
		}
		stdout, _ := run(cases.ok.code, append(slices.Clone(cases.ok.args), at...)...)
		if cases.ok.code == 0 && stdout == "" {
			t.Errorf("%s: says nothing", path)
		}
		if cases.refused.code != 0 {
			if _, stderr := run(cases.refused.code, append(slices.Clone(cases.refused.args), at...)...); strings.Contains(stderr, "is Caddy running") {
				t.Errorf("%s: a refusal is taken for a server that is not there: %s", path, stderr)
			}
		}
		if !cases.offline {
			if _, stderr := run(2, append(slices.Clone(cases.ok.args), "--admin", nowhere)...); path != "backup" &&
				(!strings.Contains(stderr, "is Caddy running") || !strings.Contains(stderr, "--admin") || !strings.Contains(stderr, "--config")) {
				t.Errorf("%s: a server that is not there gets %s", path, stderr)
			}
		}
		if cases.wrong != nil {
			run(1, append(slices.Clone(cases.wrong), at...)...)
		}
		run(1, append(slices.Clone(cases.ok.args), "surplus")...)
		if _, stderr := run(1, "--no-such-flag"); !strings.Contains(stderr, "--help") {
			t.Errorf("%s: an unknown flag gets %s", path, stderr)
		}
		if stdout, _ := run(0, "--help"); !strings.Contains(stdout, path) {
			t.Errorf("%s: got the help %s", path, stdout)
		}
	}
}

// TestCommandsThatAreNone: what is in no list of commands must not look done.
func TestCommandsThatAreNone(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string
	}{
		{"", []string{"caddy threepid --help"}},
		{"bakcup", []string{"did you mean `caddy threepid backup`"}},
		{"bakcup --output /tmp/x", []string{"did you mean `caddy threepid backup`"}},
		{"back", []string{"did you mean `caddy threepid backup`"}},
		{"send", []string{"`send-test`"}},
		{"Backup", []string{"did you mean `caddy threepid backup`"}},
		{"nonsense", []string{`has no command "nonsense"`, "--help"}},
		{"--json", []string{"name a command"}},
		{"help", []string{"--help"}},
		{"sessions", []string{"caddy threepid sessions --help"}},
		{"sessions lst", []string{"did you mean `caddy threepid sessions list`"}},
		{"suppressions", []string{"caddy threepid suppressions --help"}},
		{"suppressions delete --address x@example.test", []string{`has no command "delete"`}},
		{"suppressions remvoe --address x@example.test", []string{"did you mean `caddy threepid suppressions remove`"}},
	} {
		stdout, stderr, code := program(t, "caddy threepid", strings.Fields(c.args)...)
		if code != 1 || stdout != "" {
			t.Errorf("%q: got code %d and %q, want 1 and nothing", c.args, code, stdout)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, strings.Trim(want, "`")) {
				t.Errorf("%q: got %s, want %q", c.args, stderr, want)
			}
		}
	}
	if stdout, _, code := program(t, "caddy threepid", "--help"); code != 0 || !strings.Contains(stdout, "Exit codes: 0") || !strings.Contains(stdout, "suppressions") {
		t.Errorf("got code %d and %s, want the help", code, stdout)
	}
}

// TestAddressMeansOneThing: it is that of a person. What it was before is still
// understood where it can be nothing else, and told where it cannot.
func TestAddressMeansOneThing(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	admin := fmt.Sprintf("127.0.0.1:%d", s.admin)
	empty := httptest.NewServer(http.NotFoundHandler()) // as a Caddy without this module answers
	t.Cleanup(empty.Close)
	other := empty.Listener.Addr().String()
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"status --address " + admin, 0, "--admin"},
		{"status --address joe@example.test", 1, "no person"},
		{"find --address " + admin, 1, "--admin"},
		{"find --address unix//run/threepid/admin.sock", 1, "--admin"},
		{"forget --address localhost:2019", 1, "--admin"},
		{"suppressions add --address [::1]:2019", 1, "--admin"},
		{"find --admin joe@example.test --address joe@example.test", 1, "no person"},
		{"find --address 447400123456 --admin " + admin, 1, ""},
		{"find --address +447400123456 --admin " + admin, 1, ""},
		// A variable of a script that is empty names nobody, and not everybody.
		{"sessions list --sid= --admin " + admin, 1, "name"},
		{"sessions list --pseudonym= --admin " + admin, 1, "name"},
		{"sessions revoke --sid= --admin " + admin, 1, "name"},
		{"status --admin " + other, 2, "if that of " + other + " is not the right Caddy, name another endpoint with --admin, or the configuration with --config"},
	} {
		_, stderr, code := program(t, "caddy threepid", strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "joe@") {
			t.Errorf("%q: got code %d and %s, want %d and %q, and no address", c.args, code, stderr, c.code, c.want)
		}
	}
}

// TestNoThreepidHere: another Caddy that answers is not a refusal to be puzzled by.
func TestNoThreepidHere(t *testing.T) {
	s := newSite(t, "")
	s.mustLoad(s.without())
	admin := fmt.Sprintf("127.0.0.1:%d", s.admin)
	for _, command := range []string{"status", "doctor", "find --address joe@example.test", "sms"} {
		_, stderr, code := program(t, "caddy threepid", append(strings.Fields(command), "--admin", admin)...)
		if code != 2 || !strings.Contains(stderr, "does not use threepid") || !strings.Contains(stderr, "name another endpoint with --admin, or the configuration with --config") {
			t.Errorf("%s: got code %d and %s, want 2 and where else to look", command, code, stderr)
		}
	}
}

// TestCaddyKnowsOurCommands: its shell completion and its manual pages have them.
func TestCaddyKnowsOurCommands(t *testing.T) {
	folder := t.TempDir()
	if _, _, code := program(t, "caddy", "manpage", "--directory", folder); code != 0 {
		t.Fatalf("got code %d", code)
	}
	for _, path := range leaves() {
		page, err := os.ReadFile(filepath.Join(folder, "caddy-threepid-"+strings.ReplaceAll(path, " ", "-")+".8"))
		if err != nil || len(page) == 0 {
			t.Errorf("%s: no manual page: %v", path, err)
		}
		words := strings.Fields(path)
		parent, name := words[:len(words)-1], words[len(words)-1]
		if stdout, _, code := program(t, "caddy __complete threepid", append(slices.Clone(parent), name[:2])...); code != 0 || !strings.Contains(stdout, name+"\t") {
			t.Errorf("%s: got code %d and %q for its first letters", path, code, stdout)
		}
		if stdout, _, _ := program(t, "caddy __complete threepid", append(slices.Clone(words), "--")...); !strings.Contains(stdout, "--json") {
			t.Errorf("%s: got %q, want its flags", path, stdout)
		}
	}
	if stdout, _, code := program(t, "caddy", "completion", "bash"); code != 0 || !strings.Contains(stdout, "__complete") {
		t.Errorf("got code %d and %d bytes", code, len(stdout))
	}
}
