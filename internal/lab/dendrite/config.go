// SPDX-License-Identifier: Apache-2.0

package dendrite

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Options say how a server is to behave. Only Dir is required.
type Options struct {
	// Dir receives the configuration, the keys, the databases and the log. A
	// directory used before keeps its users; never start two servers in one.
	Dir string
	// ServerName is the domain of the user IDs, dendrite.test if empty.
	ServerName string
	// Port is the port on 127.0.0.1. Zero lets Start choose a free one.
	Port int
	// OpenRegistration lets anybody register, without a proof of anything.
	OpenRegistration bool
	// TrustedIDServers are the names that are accepted as id_server, compared
	// byte for byte, port included.
	TrustedIDServers []string
	// CAFiles are certificates to trust instead of the system's. Each may hold
	// several.
	CAFiles []string
}

// object is a JSON object; every JSON document is a YAML document.
type object map[string]any

// writeConfig fills opts.Dir with what Dendrite needs to start, and returns the
// path of the configuration and the registration secret.
func (e Env) writeConfig(ctx context.Context, opts Options) (path, secret string, err error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil || opts.Dir == "" {
		return "", "", errors.Join(errors.New("name a directory for dendrite"), err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", fmt.Errorf("make dendrite's directory: %w", err)
	}
	if err := e.makeKey(ctx, filepath.Join(dir, "signing.pem")); err != nil {
		return "", "", err
	}
	secret = rand.Text()
	content, err := json.MarshalIndent(configuration(dir, secret, opts), "", "  ")
	if err != nil {
		return "", "", fmt.Errorf("write dendrite's configuration: %w", err)
	}
	path = filepath.Join(dir, "dendrite.yaml")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", "", fmt.Errorf("write dendrite's configuration: %w", err)
	}
	return path, secret, nil
}

// makeKey makes the signing key, if there is none.
func (e Env) makeKey(ctx context.Context, path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	cmd := exec.CommandContext(ctx, e.program(programs[1]), "--private-key", path)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make dendrite's signing key: %w\n%s", err, tail(string(out), 5))
	}
	return nil
}

// configuration returns the content of dendrite.yaml.
func configuration(dir, secret string, opts Options) object {
	if opts.ServerName == "" {
		opts.ServerName = "dendrite.test"
	}
	database := func(name string) object {
		return object{"connection_string": "file:" + filepath.Join(dir, name+".db")}
	}
	return object{
		"version": 2,
		"global": object{
			"server_name": opts.ServerName, "private_key": filepath.Join(dir, "signing.pem"), "key_validity_period": "168h",
			"trusted_third_party_id_servers": append([]string{}, opts.TrustedIDServers...),
			// With it disabled, Dendrite asks no identity server either.
			"disable_federation": false,
			"jetstream":          object{"storage_path": filepath.Join(dir, "jetstream"), "in_memory": true},
			"cache":              object{"max_size_estimated": "16mb", "max_age": "1h"},
			"report_stats":       object{"enabled": false},
		},
		"client_api": object{
			"registration_disabled": !opts.OpenRegistration, "guests_disabled": true,
			"registration_shared_secret": secret, "rate_limiting": object{"enabled": false},
		},
		"federation_api": object{"database": database("federation"), "key_perspectives": []object{}, "send_max_retries": 1},
		"key_server":     object{"database": database("keys")},
		"media_api":      object{"database": database("media"), "base_path": filepath.Join(dir, "media")},
		"mscs":           object{"database": database("mscs")},
		"relay_api":      object{"database": database("relay")},
		"room_server":    object{"database": database("rooms")},
		"sync_api":       object{"database": database("sync"), "search": object{"enabled": false}},
		"user_api":       object{"account_database": database("users"), "bcrypt_cost": 4}, // the least that bcrypt knows
		"logging":        []object{{"type": "std", "level": "info"}},
	}
}

// bundle makes one file of several.
func bundle(path string, files []string) error {
	var all strings.Builder
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read certificates: %w", err)
		}
		all.Write(content)
		all.WriteByte('\n')
	}
	if err := os.WriteFile(path, []byte(all.String()), 0o600); err != nil {
		return fmt.Errorf("write certificates: %w", err)
	}
	return nil
}
