// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/cli"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
)

// program runs this program as a script would: in a process of its own, of which
// it sees the standard output, the standard error and the exit code.
func program(t *testing.T, words string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), childCommand+"="+words)
	var out, log strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &log
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), log.String(), cmd.ProcessState.ExitCode()
}

// caddyThreepid runs `caddy threepid`.
func (s *site) caddyThreepid(args ...string) (stdout []byte, code int) {
	s.t.Helper()
	out, _, code := program(s.t, "caddy threepid", args...)
	return []byte(out), code
}

// wantJSON runs a command with --json and reads what it prints.
func (s *site) wantJSON(into any, want int, args ...string) {
	s.t.Helper()
	out, code := s.caddyThreepid(append(args, "--json")...)
	if err := json.Unmarshal(out, into); err != nil || code != want {
		s.t.Fatalf("%q: got code %d and %q (%v), want code %d and JSON", args, code, out, err, want)
	}
}

// TestExitCodesAndJSON: what scripts go by when all is well.
func TestExitCodesAndJSON(t *testing.T) {
	w := newWhole(t, "off")
	at := fmt.Sprintf("127.0.0.1:%d", w.admin)
	var report doctor.Report
	out, code := w.caddyThreepid("doctor", "--json", "--admin", at)
	if err := json.Unmarshal(out, &report); err != nil || code != report.ExitCode() || code == 0 {
		t.Errorf("doctor: got code %d (%v), want that of the report, %d", code, err, report.ExitCode())
	}
	var test admin.TestResult
	w.wantJSON(&test, 0, "send-test", "--to", "somebody@example.test", "--admin", at)
	if !test.Sent || len(test.Relays) != 1 {
		t.Errorf("send-test: got %+v", test)
	}
	var status admin.Status
	w.wantJSON(&status, 0, "status", "--admin", at)
	if len(status.Relays) != 1 || status.Relays[0].State != "closed" || status.Relays[0].Sent != 1 || status.Queue.MaxQueued == 0 {
		t.Errorf("status: got %+v", status)
	}
	var written cli.Written
	w.wantJSON(&written, 0, "render", "--output", t.TempDir())
	if len(written.Languages) != 17 || len(written.Mails) != 17*14 || len(written.Pages) < 17*14 {
		t.Errorf("render: got %d languages, %d mails and %d pages", len(written.Languages), len(written.Mails), len(written.Pages))
	}
	var bundle cli.Bundle
	file := filepath.Join(t.TempDir(), "bundle.pem")
	w.wantJSON(&bundle, 0, "ca-bundle", "--system", "none", "--output", file, "--admin", at)
	if bundle != (cli.Bundle{File: file, Certificates: 1}) {
		t.Errorf("ca-bundle: got %+v", bundle)
	}
}

// TestExitCodesOfTrouble: a server that is not there is worse than a warning.
func TestExitCodesOfTrouble(t *testing.T) {
	w := newWhole(t, "off")
	at := fmt.Sprintf("127.0.0.1:%d", w.admin)
	w.refuse.Store(true)
	var test admin.TestResult
	w.wantJSON(&test, 2, "send-test", "--to", "somebody@example.test", "--admin", at)
	if test.Sent || test.Problem == "" {
		t.Errorf("send-test to a relay that refuses: got %+v", test)
	}
	if err := w.inbox.Close(); err != nil {
		t.Fatal(err)
	}
	for range 6 { // until it is left alone
		w.caddyThreepid("send-test", "--to", "somebody@example.test", "--admin", at)
	}
	raw, code := w.caddyThreepid("send-test", "--to", "somebody@example.test", "--admin", at)
	text := string(raw)
	if code != 2 || !strings.Contains(text, " is left alone until ") || !strings.Contains(text, "Its last error: dial: ") {
		t.Errorf("send-test by a relay that is left alone: got %q, code %d, want until when, and why", text, code)
	}
	var status admin.Status
	w.wantJSON(&status, 1, "status", "--admin", at)
	if status.Relays[0].State != "open" || status.Relays[0].LastError == "" {
		t.Errorf("status of a relay that is gone: got %+v", status.Relays)
	}
	for _, c := range []struct {
		want int
		args []string
	}{
		{2, []string{"doctor", "--admin", w.inbox.Addr()}},
		{2, []string{"status", "--json", "--admin", w.inbox.Addr()}},
		{2, []string{"send-test", "--to", "a@b@c", "--admin", at}},
		{1, []string{"render"}},
		{2, []string{"ca-bundle", "--ca", "unknown", "--admin", at}},
		{1, []string{"ca-bundle", "--json", "--system", "none", "--admin", at}},
		{1, []string{"status", "--no-such-flag"}},
	} {
		if _, code := w.caddyThreepid(c.args...); code != c.want {
			t.Errorf("%q: got code %d, want %d", c.args, code, c.want)
		}
	}
}
