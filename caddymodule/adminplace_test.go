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

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// shortDir is a folder whose name leaves room for that of a socket: there may be
// 104 bytes in all.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "door-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// administered is a Caddyfile with another line about the admin endpoint.
func (s *site) administered(line string) string {
	return strings.Replace(s.simple(), fmt.Sprintf("admin 127.0.0.1:%d", s.admin), line, 1)
}

// openAdmin is what the log says of an admin endpoint on a port.
const openAdmin = `"msg":"the admin endpoint listens on a port`

// TestAdminPlace: a configuration whose admin endpoint users of the homeserver
// reach is told of when it is loaded, and by the doctor; others are not.
func TestAdminPlace(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	ports, err := freeport.Take(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("THREEPID_TEST_ADMIN", fmt.Sprintf("127.0.0.1:%d", ports[1]))
	before := caddy.DefaultAdminListen
	caddy.DefaultAdminListen = fmt.Sprintf("127.0.0.1:%d", ports[0])
	t.Cleanup(func() { caddy.DefaultAdminListen = before })
	socket := filepath.Join(shortDir(t), "admin.sock")
	port := fmt.Sprintf("127.0.0.1:%d", s.admin)
	for _, c := range []struct {
		name, line string
		want       *doctor.AdminEndpoint
		told       bool
	}{
		{"a port", "admin " + port, &doctor.AdminEndpoint{Network: "tcp", Address: port}, true},
		{"the default", "", &doctor.AdminEndpoint{Network: "tcp", Address: caddy.DefaultAdminListen}, true},
		{"a placeholder", "admin {env.THREEPID_TEST_ADMIN}", &doctor.AdminEndpoint{Network: "tcp", Address: os.Getenv("THREEPID_TEST_ADMIN")}, true},
		{"with the origin enforced", "admin " + port + " {\nenforce_origin\n}", &doctor.AdminEndpoint{Network: "tcp", Address: port, OriginEnforced: true}, false},
		{"a socket", "admin unix/" + socket + "|0600", &doctor.AdminEndpoint{Network: "unix", Address: socket}, false},
		{"off", "admin off", nil, false},
	} {
		seen := 0
		if raw, err := os.ReadFile(s.path("caddy.log")); err == nil {
			seen = strings.Count(string(raw), openAdmin)
		}
		s.mustLoad(s.administered(c.line))
		got := caddymodule.AdminPlace(caddy.ActiveContext())
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
		log := s.log("caddy.log")
		if told := strings.Count(log, openAdmin) - seen; (told == 1) != c.told || told > 1 {
			t.Errorf("%s: it was told %d times, want %t", c.name, told, c.told)
		}
		if c.told && (!strings.Contains(log, "run `caddy threepid doctor`") || !strings.Contains(log, `"write":"admin unix//run/threepid/admin.sock|0600"`)) {
			t.Errorf("%s: got log %s, want what to do", c.name, log)
		}
	}
	// Nobody is told of a configuration that was not loaded, and nothing is known of it.
	if got := caddymodule.AdminPlace(caddy.Context{}); got != nil {
		t.Errorf("got %+v of no configuration", got)
	}
}

// doctored runs the doctor's command, and returns what it has to say of the
// admin endpoint.
func (s *site) doctored(env []string, args ...string) (code string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), os.Args[0], append([]string{"doctor", "--json"}, args...)...)
	cmd.Env = append(append(os.Environ(), childCommand+"=caddy threepid"), env...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	var report doctor.Report
	if jsonErr := json.Unmarshal(out, &report); err != nil && !errors.As(err, &exit) || jsonErr != nil {
		s.t.Fatalf("%q: got %q, %v", args, out, err)
	}
	for _, f := range report.Findings {
		if f.Check == "admin" {
			code += f.Code
		}
	}
	return code
}

// TestCommandsFindTheSocket: by its address as Caddy writes it, by the
// configuration, and by the environment.
func TestCommandsFindTheSocket(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	socket := filepath.Join(shortDir(t), "admin.sock")
	s.mustLoad(s.administered("admin unix/" + socket + "|0600"))
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got %v (%v), want a socket with the mode 0600", info, err)
	}
	config := s.path("Caddyfile")
	if err := os.WriteFile(config, []byte(s.loaded), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("THREEPID_TEST_ADMIN", "unix/"+socket+"|0600")
	again := s.path("again.json")
	if err := os.WriteFile(again, []byte(`{"admin":{"listen":"{env.THREEPID_TEST_ADMIN}"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, found := range map[string]string{
		"address":           s.doctored(nil, "--admin", "unix/"+socket),
		"address with mode": s.doctored(nil, "--admin", "unix/"+socket+"|0600"),
		"former flag":       s.doctored(nil, "--address", "unix/"+socket),
		"Caddyfile":         s.doctored(nil, "--config", config),
		"JSON":              s.doctored(nil, "--config", again),
		"environment":       s.doctored([]string{"CADDY_ADMIN=unix/" + socket}),
	} {
		if found != "ok" {
			t.Errorf("by the %s: got %q, want an admin endpoint that is ok", name, found)
		}
	}
	// Every command that has an effect goes through.
	for _, args := range [][]string{
		{"rotate-keys"}, {"rotate-keys", "--prune"}, {"send-test", "--to", "somebody@example.test"}, {"backup", "--output", s.path("backup")},
	} {
		if out, code := s.caddyThreepid(append(args, "--admin", "unix/"+socket)...); code != 0 {
			t.Errorf("%q: got code %d and %q", args, code, out)
		}
	}
	if out, code := s.caddyThreepid("forget", "--address", "alice@example.test", "--admin", "unix/"+socket); code != 0 {
		t.Errorf("forget: got code %d and %q", code, out)
	}
}

// TestDocumentedAdmin: what the documents say is where the commands look, and what
// the log says to write.
func TestDocumentedAdmin(t *testing.T) {
	for _, name := range []string{"README.md", "Caddyfile.example"} {
		raw, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || !strings.Contains(string(raw), "\n\t"+caddymodule.AdminSocket+"\n") {
			t.Errorf("%s (%v): it does not have %q", name, err, caddymodule.AdminSocket)
		}
	}
}

// TestMetricsOnASite: Prometheus reads no socket, but a site of Caddy's own has the
// same metrics.
func TestMetricsOnASite(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	ports, err := freeport.Take(1)
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	s.mustLoad(s.administered("admin off") + url + " {\n\tmetrics\n}\n")
	s.open("secret", "alice@example.test")
	a := s.settled(func() (stack.Answer, error) { return stack.NewClient(url).Do(t.Context(), "GET", "/metrics", "", nil) })
	if !strings.Contains(a.Body, "caddy_threepid_requests_total{") {
		t.Errorf("got %d %.200s, want our counters", a.Status, a.Body)
	}
}
