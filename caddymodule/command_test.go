// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// threepid is the command with all those below it, as Caddy makes it.
func threepid() *cobra.Command {
	cmd := &cobra.Command{Use: "threepid"}
	caddycmd.Commands()[cmd.Use].CobraFunc(cmd)
	return cmd
}

// offline runs a subcommand that asks no server, and returns what it says.
func offline(name string, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := threepid()
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(append([]string{name}, args...))
	err := cmd.Execute()
	return out.String(), err
}

// command runs a subcommand against the site's admin endpoint.
func (s *site) command(name string, args ...string) (string, error) {
	s.t.Helper()
	return offline(name, slices.Concat(args, []string{"--admin", fmt.Sprintf("127.0.0.1:%d", s.admin)})...)
}

func TestDoctorOnARunningServer(t *testing.T) {
	w := newWhole(t, "callback")
	copied := w.path("copy.json")
	must(t, os.WriteFile(copied, read(t, w.path("keys.json")), 0o600))
	if text, err := w.command("check-copy", "--file", copied); err != nil {
		t.Fatalf("got %q, %v, want the copy to be noted", text, err)
	}
	text, err := w.command("doctor", "--json")
	var report doctor.Report
	if jsonErr := json.Unmarshal([]byte(text), &report); jsonErr != nil {
		t.Fatalf("got %q, %v, want a report", text, err)
	}
	found := map[string]doctor.Finding{}
	for _, f := range report.Findings {
		if f.Severity != doctor.OK {
			t.Logf("%s %s %s: %s", f.Severity, f.Check, f.Code, f.Problem)
		}
		if old, ok := found[f.Check]; !ok || old.Severity == doctor.OK {
			found[f.Check] = f
		}
	}
	// What a test on loopback can have in order is in order.
	for _, check := range []string{"relay", "homeserver.trust", "homeserver.versions", "store", "key_file", "clock"} {
		if f, ok := found[check]; !ok || f.Severity != doctor.OK {
			t.Errorf("%s: got %+v, want ok", check, f)
		}
	}
	text, _ = w.command("doctor")
	for _, secret := range append(w.canaries(), "Bearer") {
		if strings.Contains(text, secret) {
			t.Errorf("the report has %q", secret)
		}
	}
	if !strings.Contains(text, "homeserver.trust") {
		t.Errorf("got %s, want a report for people", text)
	}
}

// TestDoctorFindsAHomeserverThatDoesNotTrustUs is the fault that most first
// installations have.
func TestDoctorFindsAHomeserverThatDoesNotTrustUs(t *testing.T) {
	w := newWhole(t, "callback")
	w.mustLoad(strings.Replace(w.loaded, "identity_name "+w.identityName(), "identity_name localhost:1", 1))
	text, err := w.command("doctor")
	if err == nil || !strings.Contains(text, "trusted_third_party_id_servers") {
		t.Errorf("got %v, %s, want the line for homeserver.yaml", err, text)
	}
}

// TestDoctorSeesWhatWasConfigured: bounces that come back to another domain, and
// templates that were broken after they were loaded, which the next reload would
// stumble over.
func TestDoctorSeesWhatWasConfigured(t *testing.T) {
	own := t.TempDir()
	w := newWhole(t, "off", "templates "+own, "feedback {\nbounces bounces@returns.test\n}")
	report := w.examine()
	if f := report["templates"]; f.Severity != doctor.OK {
		t.Errorf("got %+v, want the templates in order", f)
	}
	if f := report["dns.spf"]; f.Subject != "returns.test" {
		t.Errorf("got SPF of %q, want that of the envelope's domain", f.Subject)
	}
	if err := os.MkdirAll(filepath.Join(own, "en"), 0o700); err != nil {
		t.Fatal(err)
	}
	words := []byte(`{{define "add asked"}}Click here{{end}}`)
	if err := os.WriteFile(filepath.Join(own, "en", "words.txt"), words, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := w.examine()["templates"]; f.Code != "template_broken" || !strings.Contains(f.Problem, "en/words.txt:1") {
		t.Errorf("got %+v, want file and line of the fault", f)
	}
}

// examine runs the doctor, and returns the last finding of each check.
func (w *whole) examine() map[string]doctor.Finding {
	w.t.Helper()
	text, err := w.command("doctor", "--json")
	var report doctor.Report
	if jsonErr := json.Unmarshal([]byte(text), &report); jsonErr != nil {
		w.t.Fatalf("got %q, %v, want a report", text, err)
	}
	found := map[string]doctor.Finding{}
	for _, f := range report.Findings {
		found[f.Check] = f
	}
	return found
}

func TestStatusAndSendTest(t *testing.T) {
	w := newWhole(t, "off")
	text, err := w.command("send-test", "--to", "somebody@example.test")
	if err != nil || !strings.Contains(text, "It was taken") {
		t.Fatalf("got %q, %v, want it sent", text, err)
	}
	if _, err := w.inbox.WaitFor(t.Context(), "somebody@example.test"); err != nil {
		t.Fatal(err)
	}
	text, err = w.command("status")
	if err != nil || !strings.Contains(text, w.inbox.Addr()) || !strings.Contains(text, "in order") {
		t.Errorf("got %q, %v, want the relay in order", text, err)
	}
	w.refuse.Store(true)
	text, err = w.command("send-test", "--to", canaryAddress)
	// Whoever has named the address is told what the relay says to it, and nobody else.
	if err == nil || !strings.Contains(text, "not sent") || !strings.Contains(text, "The relay said: <"+canaryAddress+">: no such mailbox") {
		t.Errorf("got %q, %v, want a refusal and why", text, err)
	}
	if text, _ = w.command("status"); strings.Contains(text, canaryAddress) || strings.Contains(w.log("caddy.log"), canaryAddress) {
		t.Errorf("got status %q, want none, and no log, with the address", text)
	}
	for _, to := range []string{"", "nobody", "a@b@c"} {
		if text, err := w.command("send-test", "--to", to); err == nil {
			t.Errorf("%q: got %q, want an error", to, text)
		}
	}
}

func TestCABundle(t *testing.T) {
	w := newWhole(t, "off")
	own := filepath.Join(t.TempDir(), "system.pem")
	system := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: mustRoot(t, w.inbox.CAPEM())})
	if err := os.WriteFile(own, bytes.TrimSuffix(system, []byte("\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bundle.pem")
	if text, err := w.command("ca-bundle", "--system", own, "--output", file); err != nil {
		t.Fatalf("got %q, %v", text, err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var subjects []string
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !cert.IsCA || cert.CheckSignatureFrom(cert) != nil {
			t.Errorf("%s is no root", cert.Subject)
		}
		subjects = append(subjects, cert.Subject.String())
	}
	if len(subjects) != 2 {
		t.Errorf("got %q, want the system's and ours", subjects)
	}
	text, err := w.command("ca-bundle", "--system", "none")
	if err != nil || strings.Count(text, "BEGIN CERTIFICATE") != 1 {
		t.Errorf("got %q, %v, want ours alone", text, err)
	}
	for _, args := range [][]string{{"--ca", "unknown"}, {"--system", "/no/such/file"}, {"--output", "/no/such/folder/x"}} {
		if text, err := w.command("ca-bundle", args...); err == nil {
			t.Errorf("%q: got %q, want an error", args, text)
		}
	}
}

func mustRoot(t *testing.T, raw []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(raw)
	if block == nil {
		t.Fatal("no certificate")
	}
	return block.Bytes
}

func TestAdminEndpoint(t *testing.T) {
	w := newWhole(t, "off")
	operator := w.operator()
	for _, c := range []struct {
		method, path string
		body         any
		want         int
	}{
		{"GET", "health/live", nil, http.StatusOK},
		{"GET", "health/ready", nil, http.StatusOK},
		{"GET", "status", nil, http.StatusOK},
		{"POST", "status", nil, http.StatusMethodNotAllowed},
		{"GET", "nothing", nil, http.StatusNotFound},
		{"POST", "send-test", stack.Object{"to": "x", "more": 1}, http.StatusBadRequest},
		{"POST", "send-test", nil, http.StatusUnsupportedMediaType},
	} {
		a, err := operator.Do(t.Context(), c.method, admin.Base+c.path, "", c.body)
		if err != nil || a.Status != c.want {
			t.Errorf("%s %s: got %d %s (%v), want %d", c.method, c.path, a.Status, a.Body, err, c.want)
		}
	}
	w.mustLoad(w.without())
	if a, err := operator.Do(t.Context(), "GET", admin.Base+"status", "", nil); err != nil || a.Status != http.StatusNotFound {
		t.Errorf("got %d %s (%v) without the app, want 404", a.Status, a.Body, err)
	}
}
