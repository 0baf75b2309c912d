// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// configOf writes a configuration and returns it as Synapse will read it.
func configOf(t *testing.T, opts Options) map[string]any {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	path, secret, err := writeConfig(Version, opts)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var conf map[string]any
	if err := json.Unmarshal(content, &conf); err != nil {
		t.Fatal(err)
	}
	if conf["registration_shared_secret"] != secret || len(secret) != 32 {
		t.Errorf("secret: got %v in the file, %q returned", conf["registration_shared_secret"], secret)
	}
	return conf
}

func TestConfigFollowsOptions(t *testing.T) {
	odd := `.*@(a|b)"\.test: <x>`
	for _, tc := range []struct {
		name, key string
		opts      Options
		want      any
	}{
		{"a name by default", "server_name", Options{}, "synapse.test"},
		{"its own name", "server_name", Options{ServerName: "hs.example"}, "hs.example"},
		{"registration by default", "enable_registration", Options{}, true},
		{"no registration", "enable_registration", Options{DisableRegistration: true}, false},
		{"email by choice", "registrations_require_3pid", Options{}, nil},
		{"email required", "registrations_require_3pid", Options{RequireEmail: true}, []any{"email"}},
		// An absent key would mean matrix.org and vector.im.
		{"trusts no one by default", "trusted_third_party_id_servers", Options{}, []any{}},
		{"trusts", "trusted_third_party_id_servers", Options{TrustedIDServers: []string{"localhost:8443"}}, []any{"localhost:8443"}},
		{"checks certificates", "use_insecure_ssl_client_just_for_testing_do_not_use", Options{}, nil},
		{"checks nothing", "use_insecure_ssl_client_just_for_testing_do_not_use", Options{TrustAnyIDServer: true}, true},
		{"resets off", "email", Options{}, nil},
		{"resets by trust", "email", Options{ResetTrust: true}, map[string]any{"trust_identity_server_for_password_resets": true}},
		{"any address", "allowed_local_3pids", Options{}, []any{}},
		{
			"some addresses", "allowed_local_3pids",
			Options{AllowedLocal3PIDs: []LocalPattern{{"email", odd}}},
			[]any{map[string]any{"medium": "email", "pattern": odd}},
		},
		{"no notary", "trusted_key_servers", Options{}, []any{}},
		{"no federation", "federation_domain_whitelist", Options{}, []any{}},
		{"no federation, even when it is served", "federation_domain_whitelist", Options{Federation: true}, []any{}},
		{"no statistics", "report_stats", Options{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := configOf(t, tc.opts)[tc.key]; !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%s: got %#v, want %#v", tc.key, got, tc.want)
			}
		})
	}
}

func TestConfigListensOnLoopbackForClientsOnly(t *testing.T) {
	listeners, _ := configOf(t, Options{Port: 8008})["listeners"].([]any)
	if len(listeners) != 1 {
		t.Fatalf("got %d listeners, want 1", len(listeners))
	}
	got, _ := listeners[0].(map[string]any)
	want := map[string]any{
		"port": 8008.0, "bind_addresses": []any{"127.0.0.1"}, "type": "http", "tls": false, "x_forwarded": true,
		"resources": []any{map[string]any{"names": []any{"client"}, "compress": false}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestConfigServesFederationWhenAsked(t *testing.T) {
	listeners, _ := configOf(t, Options{Federation: true})["listeners"].([]any)
	got, _ := listeners[0].(map[string]any)
	want := []any{map[string]any{"names": []any{"client", "federation"}, "compress": false}}
	if len(listeners) != 1 || !reflect.DeepEqual(got["resources"], want) {
		t.Errorf("got %d listeners, the first with %v, want one with %v", len(listeners), got["resources"], want)
	}
	if got, want := got["bind_addresses"], []any{"127.0.0.1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("addresses: got %v, want %v", got, want)
	}
}

func TestConfigKeepsSecretsAcrossStarts(t *testing.T) {
	secrets := []string{"registration_shared_secret", "macaroon_secret_key", "form_secret"}
	dir := t.TempDir()
	first, again, other := configOf(t, Options{Dir: dir}), configOf(t, Options{Dir: dir, RequireEmail: true}), configOf(t, Options{})
	for _, name := range secrets {
		if first[name] != again[name] {
			t.Errorf("%s changed on the second start", name)
		}
		if first[name] == other[name] {
			t.Errorf("%s is the same in another directory", name)
		}
	}
	if first["macaroon_secret_key"] == first["form_secret"] {
		t.Error("two secrets are the same")
	}
	key, err := os.ReadFile(filepath.Join(dir, "signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(key))
	if len(fields) != 3 || fields[0] != "ed25519" {
		t.Fatalf("signing key: got %d fields, want algorithm, version and seed", len(fields))
	}
	if seed, err := base64.RawStdEncoding.DecodeString(fields[2]); err != nil || len(seed) != 32 {
		t.Errorf("signing key: got a seed of %d bytes, %v; want 32", len(seed), err)
	}
}

func TestConfigIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	configOf(t, Options{Dir: dir})
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Error("nothing was written")
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got&0o077 != 0 {
			t.Errorf("%s: got mode %o, want it readable by its owner only", entry.Name(), got)
		}
		if strings.HasSuffix(entry.Name(), ".new") {
			t.Errorf("%s was left behind", entry.Name())
		}
	}
}

func TestConfigRefusesBadDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	blocked := t.TempDir()
	if err := os.Mkdir(filepath.Join(blocked, "signing.key"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"none": "", "below a file": filepath.Join(file, "dir"), "key unreadable": blocked} {
		if _, _, err := writeConfig(Version, Options{Dir: dir}); err == nil {
			t.Errorf("%s: got no error", name)
		}
		if _, err := Start(t.Context(), Env{}, Options{Dir: dir}); err == nil {
			t.Errorf("%s: Start: got no error", name)
		}
	}
}
