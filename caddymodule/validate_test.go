// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// caddyValidate runs `caddy validate` as an operator does, and returns what it
// says and its exit code.
func caddyValidate(t *testing.T, config string) (string, int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "validate", "--config", file)
	cmd.Env = append(os.Environ(), childCommand+"=caddy")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestValidateCommand: what the tables of faults say is what the command says,
// for the last fault and the last good entry of each table.
func TestValidateCommand(t *testing.T) {
	dir, last := fixtures(t), map[string]*fault{}
	for _, f := range readFaults(t) {
		if f.good() {
			last["good "+f.table] = f
		} else {
			last[f.table] = f
		}
	}
	for name, f := range last {
		out, code := caddyValidate(t, f.config(dir))
		want := 1
		if f.good() {
			want = 0
		}
		if code != want {
			t.Errorf("%s: got code %d, want %d: %s", name, code, want, out)
		}
		said, _, _ := strings.Cut(strings.ReplaceAll(f.want, "$DIR", dir), ", at Caddyfile:")
		if !f.good() && !strings.Contains(out, said) {
			t.Errorf("%s: got %s, want %s", name, out, said)
		}
	}
}

// TestValidateWarnsOfWiring: what Caddy would warn of when it starts is said
// before.
func TestValidateWarnsOfWiring(t *testing.T) {
	for sites, want := range map[string]string{
		"http://other.example {\n\tthreepid\n}\n":           "threepid_identity",
		"http://localhost:8443 {\n\tthreepid_identity\n}\n": "No site has threepid",
	} {
		name := want
		out, code := caddyValidate(t, "{\n\tthreepid {\n\t\tpublic_url http://matrix.example\n\t\thomeserver synapse\n\t}\n}\n"+sites+"http://x.example {\n\trespond hello\n}\n")
		if code != 0 || !strings.Contains(out, want) || !strings.Contains(out, "See `caddy threepid doctor`") {
			t.Errorf("%s: got code %d and %s, want warnings", name, code, out)
		}
		if !strings.Contains(out, "no mailer is configured") {
			t.Errorf("%s: got %s, want to be told where mails go", name, out)
		}
	}
}

// TestFailedLoadWarnsOfNothing: the warnings are for a configuration that is in
// order.
func TestFailedLoadWarnsOfNothing(t *testing.T) {
	out, code := caddyValidate(t, "{\n\tthreepid {\n\t\tkey_file /dev/null\n\t}\n}\nhttp://x.example {\n\trespond hello\n}\n")
	if code != 1 || strings.Contains(out, "no mailer is configured") {
		t.Errorf("got code %d and %s, want the fault alone", code, out)
	}
}
