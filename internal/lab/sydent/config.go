// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/venv"
)

// Options say how a server is to behave. Only Dir is required.
type Options struct {
	// Dir receives the configuration, the key, the database and the log. A
	// directory used before keeps its bindings; never start two servers in one.
	Dir string
	// Port is the port of 127.0.0.1 that speaks TLS. Zero lets the system
	// choose a free one.
	Port int
	// Authority signs the certificate; nil makes one for this server.
	Authority *certs.Authority
	// SMTPAddr is host:port of the mail server, spoken to in plain text. Without
	// it no address can be validated.
	SMTPAddr string
	// CAFiles are PEM files that replace the system's trusted roots, for the
	// calls to homeservers. One file may hold several certificates.
	CAFiles []string
	// Terms makes users accept terms before anything else (M_TERMS_NOT_SIGNED).
	Terms bool
	// DisableV1 turns the v1 API off. Synapse 1.3.1 speaks no other.
	DisableV1 bool
}

// The files in Options.Dir.
const (
	configFile   = "sydent.conf"
	databaseFile = "sydent.db"
	logFile      = "sydent.log"
	caFile       = "ca.pem"
	termsFile    = "terms.json"
	templateDir  = "templates"
)

// setting is a line of a configuration file; without a value, a section.
type setting struct{ key, value string }

// writeConfig fills dir with what Sydent needs to start.
func writeConfig(dir, name string, opts Options) error {
	if err := writeTemplates(filepath.Join(dir, templateDir)); err != nil {
		return fmt.Errorf("write sydent's templates: %w", err)
	}
	key, err := venv.Keep(filepath.Join(dir, "signing.key"), newSigningKey)
	if err != nil {
		return err
	}
	settings, err := configuration(dir, name, key, opts)
	if err != nil {
		return err
	}
	if opts.Terms {
		if err := writeTerms(filepath.Join(dir, termsFile), name); err != nil {
			return fmt.Errorf("write sydent's terms: %w", err)
		}
	}
	var text strings.Builder
	for _, s := range settings {
		if strings.HasPrefix(s.key, "[") {
			fmt.Fprintf(&text, "%s\n", s.key)
			continue
		}
		// Python's configparser expands what follows a percent sign.
		fmt.Fprintf(&text, "%s = %s\n", s.key, strings.ReplaceAll(s.value, "%", "%%"))
	}
	if err := venv.WriteFile(filepath.Join(dir, configFile), []byte(text.String())); err != nil {
		return fmt.Errorf("write sydent's configuration: %w", err)
	}
	return nil
}

// configuration returns the content of sydent.conf.
func configuration(dir, name, key string, opts Options) ([]setting, error) {
	host, port := "127.0.0.1", "9" // discard: nobody listens
	if opts.SMTPAddr != "" {
		var err error
		if host, port, err = net.SplitHostPort(opts.SMTPAddr); err != nil {
			return nil, fmt.Errorf("read the mail server's address: %w", err)
		}
	}
	terms := ""
	if opts.Terms {
		terms = filepath.Join(dir, termsFile)
	}
	v1 := "true"
	if opts.DisableV1 {
		v1 = "false"
	}
	return []setting{
		{"[general]", ""},
		// What a homeserver signs as destination_is: the id_server it was given.
		{"server.name", name},
		{"pidfile.path", filepath.Join(dir, "sydent.pid")},
		{"templates.path", filepath.Join(dir, templateDir)},
		{"brand.default", "plain"},
		{"terms.path", terms},
		{"enable_v1_access", v1},
		// Nothing leaves the machine.
		{"ip.blacklist", "0.0.0.0/0, ::/0"},
		{"ip.whitelist", "127.0.0.0/8, ::1/128"},
		{"[db]", ""},
		{"db.file", filepath.Join(dir, databaseFile)},
		{"[http]", ""},
		{"clientapi.http.bind_address", "127.0.0.1"},
		{"clientapi.http.port", "0"},
		{"obey_x_forwarded_for", "true"},
		{"client_http_base", "https://" + name},
		{"[email]", ""},
		{"email.from", "Sydent <sydent@localhost>"},
		{"email.hostname", "localhost"}, // else it asks the resolver for one
		{"email.smtphost", host},
		{"email.smtpport", port},
		{"email.tlsmode", "0"},
		{"email.ratelimit_sender.burst", "1000000"}, // no test reaches it
		{"[crypto]", ""},
		{"ed25519.signingkey", key},
	}, nil
}

// writeTemplates writes what Sydent's wheel lacks: it comes without templates.
func writeTemplates(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.CopyFS(dir, embedded("data/templates"))
}

// writeTerms writes terms of one document. JSON is YAML.
func writeTerms(path, name string) error {
	content, err := json.Marshal(map[string]any{
		"master_version": "1",
		"docs": map[string]any{"terms_of_service": map[string]any{
			"version": "1",
			"langs":   map[string]any{"en": map[string]any{"name": "Terms", "url": "https://" + name + "/terms"}},
		}},
	})
	if err != nil {
		return err
	}
	return venv.WriteFile(path, content)
}

// newSigningKey returns an Ed25519 seed as signedjson writes it.
func newSigningKey() string {
	var seed [32]byte
	rand.Read(seed[:]) // never fails (crypto/rand)
	return "ed25519 0 " + base64.RawStdEncoding.EncodeToString(seed[:])
}

// prepare makes the directory and returns its absolute path.
func prepare(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil || dir == "" {
		return "", errors.Join(errors.New("name a directory for sydent"), err)
	}
	if err := os.MkdirAll(path, fs.FileMode(0o700)); err != nil {
		return "", fmt.Errorf("make sydent's directory: %w", err)
	}
	return path, nil
}
