// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// configOf writes a configuration and returns its lines by key.
func configOf(t *testing.T, dir string, opts Options) map[string]string {
	t.Helper()
	if err := writeConfig(dir, "localhost:8090", opts); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, configFile))
	if err != nil {
		t.Fatal(err)
	}
	lines := make(map[string]string)
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), " = ")
		lines[key] = value
	}
	return lines
}

func TestConfigFollowsOptions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "100% mine")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	written := strings.ReplaceAll(dir, "%", "%%")
	for _, tc := range []struct {
		name, key string
		opts      Options
		want      string
	}{
		{"its name, for signatures", "server.name", Options{}, "localhost:8090"},
		{"its name, for links", "client_http_base", Options{}, "https://localhost:8090"},
		{"loopback only", "clientapi.http.bind_address", Options{}, "127.0.0.1"},
		{"a free port", "clientapi.http.port", Options{Port: 8090}, "0"},
		{"calls no one", "ip.blacklist", Options{}, "0.0.0.0/0, ::/0"},
		{"but loopback", "ip.whitelist", Options{}, "127.0.0.0/8, ::1/128"},
		{"a percent sign in a path", "db.file", Options{}, filepath.Join(written, "sydent.db")},
		{"no mail server", "email.smtpport", Options{}, "9"},
		{"mail host", "email.smtphost", Options{SMTPAddr: "127.0.0.1:2525"}, "127.0.0.1"},
		{"mail port", "email.smtpport", Options{SMTPAddr: "127.0.0.1:2525"}, "2525"},
		{"no terms", "terms.path", Options{}, ""},
		{"terms", "terms.path", Options{Terms: true}, filepath.Join(written, "terms.json")},
		{"v1", "enable_v1_access", Options{}, "true"},
		{"no v1", "enable_v1_access", Options{DisableV1: true}, "false"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, found := configOf(t, dir, tc.opts)[tc.key]
			if got != tc.want || !found {
				t.Errorf("%s: got %q (there: %v), want %q", tc.key, got, found, tc.want)
			}
		})
	}
}

func TestConfigKeepsTheKey(t *testing.T) {
	const key = "ed25519.signingkey"
	dir := t.TempDir()
	first, again := configOf(t, dir, Options{})[key], configOf(t, dir, Options{Terms: true})[key]
	if first != again {
		t.Error("the key changed on the second start")
	}
	if other := configOf(t, t.TempDir(), Options{})[key]; other == first {
		t.Error("the key is the same in another directory")
	}
	fields := strings.Fields(first)
	if len(fields) != 3 || fields[0] != "ed25519" || fields[1] != "0" {
		t.Fatalf("got %d fields, want algorithm, version 0 and seed", len(fields))
	}
	if seed, err := base64.RawStdEncoding.DecodeString(fields[2]); err != nil || len(seed) != 32 {
		t.Errorf("got a seed of %d bytes, %v; want 32", len(seed), err)
	}
	for _, name := range []string{configFile, "signing.key", termsFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got&0o077 != 0 {
			t.Errorf("%s: got mode %o, want it readable by its owner only", name, got)
		}
	}
}

func TestStartRefusesBadOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		opts Options
		want string
	}{
		{"no directory", Options{}, "name a directory"},
		{"below a file", Options{Dir: filepath.Join(file, "dir")}, "not a directory"},
		{"no port", Options{Dir: t.TempDir(), SMTPAddr: "127.0.0.1"}, "mail server's address"},
		{"port out of range", Options{Dir: t.TempDir(), Port: 65536}, "listen for TLS"},
		{"no Python", Options{Dir: t.TempDir()}, "start sydent"},
		{"no CA file", Options{Dir: t.TempDir(), CAFiles: []string{file + ".pem"}}, "read a CA file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Start(t.Context(), Env{}, tc.opts)
			if s != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, %v; want an error with %q", s, err, tc.want)
			}
			if errors.Is(err, ErrUnavailable) {
				t.Errorf("a mistake is taken for a machine without sydent: %v", err)
			}
		})
	}
}
