// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/venv"
)

// Options say how a server is to behave. Only Dir is required.
type Options struct {
	// Dir receives the configuration, the keys, the database and the log. A
	// directory used before keeps its users; never start two servers in one.
	Dir string
	// ServerName is the domain of the user IDs, synapse.test if empty. Other
	// servers find this one by it: at "localhost:8448", say, they expect TLS
	// on that port, which is a proxy's business.
	ServerName string
	// Port is the port on 127.0.0.1. Zero lets the system choose a free one.
	Port int
	// DisableRegistration turns public registration off. [Server.Register]
	// works all the same.
	DisableRegistration bool
	// RequireEmail makes every registration flow contain the email stage;
	// without it, the email stage is one of the choices.
	RequireEmail bool
	// CaptchaVerify is the URL that judges the responses to captchas, in place of
	// reCAPTCHA's. If there is one, every registration has a captcha.
	CaptchaVerify string
	// Terms is true if every registration has terms to agree to, after the captcha.
	Terms bool
	// TrustedIDServers are the names Synapse accepts as id_server, compared
	// byte for byte, port included. Empty means none.
	TrustedIDServers []string
	// ResetTrust lets the trusted identity servers vouch for password resets.
	// Without it they are switched off (there is no email section).
	ResetTrust bool
	// CAFile is a PEM bundle that replaces the system's trusted roots.
	CAFile string
	// CAFiles are trusted besides CAFile: one bundle is made of all of them.
	CAFiles []string
	// Federation serves the server-server API beside the client-server one:
	// the signing keys and the OpenID endpoint, which an identity server asks
	// about a user (see [Options.ServerName] on how it finds them). The server
	// still federates with no one.
	Federation bool
	// TrustAnyIDServer makes Synapse believe every identity server, and every
	// certificate, by the option that its authors named "just for testing, do
	// not use". It shows what a site has to fear that forgot it.
	TrustAnyIDServer bool
	// AllowedLocal3PIDs restrict the addresses that may be used; empty allows
	// all of them.
	AllowedLocal3PIDs []LocalPattern
}

// LocalPattern is one entry of allowed_local_3pids.
type LocalPattern struct {
	// Medium is email or msisdn.
	Medium string `json:"medium"`
	// Pattern is a Python regular expression, anchored at the start only.
	Pattern string `json:"pattern"`
}

// object is a JSON object; every JSON document is a YAML document, and no
// value can break out of its quotes.
type object map[string]any

// databaseFile is where a server keeps its data, below its directory.
const databaseFile = "homeserver.db"

// plenty is a limit no test reaches.
var plenty = object{"per_second": 1e6, "burst_count": 1e6}

// writeConfig fills opts.Dir with what a version of Synapse needs to start, and
// returns the path of homeserver.yaml and the registration secret.
func writeConfig(version string, opts Options) (path, secret string, err error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil || opts.Dir == "" {
		return "", "", errors.Join(errors.New("name a directory for synapse"), err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", fmt.Errorf("make synapse's directory: %w", err)
	}
	if _, err := venv.Keep(filepath.Join(dir, "signing.key"), newSigningKey); err != nil {
		return "", "", err
	}
	secrets := make(map[string]string)
	for _, name := range []string{"registration_shared_secret", "macaroon_secret_key", "form_secret"} {
		if secrets[name], err = venv.Keep(filepath.Join(dir, name), newSecret); err != nil {
			return "", "", err
		}
	}
	conf := homeserver(dir, opts)
	if opts.Terms {
		if conf["user_consent"], err = writeTerms(dir); err != nil {
			return "", "", err
		}
	}
	if version == NewestVersion {
		if err := modernize(conf, opts); err != nil {
			return "", "", err
		}
	}
	for name, value := range secrets {
		conf[name] = value
	}
	path = filepath.Join(dir, "homeserver.yaml")
	if err := errors.Join(writeJSON(path, conf), writeJSON(filepath.Join(dir, "log.yaml"), logging())); err != nil {
		return "", "", fmt.Errorf("write synapse's configuration: %w", err)
	}
	return path, secrets["registration_shared_secret"], nil
}

// homeserver returns the content of homeserver.yaml, without the secrets.
func homeserver(dir string, opts Options) object {
	if opts.ServerName == "" {
		opts.ServerName = "synapse.test"
	}
	resources := []string{"client"}
	if opts.Federation {
		resources = append(resources, "federation") // implies keys and openid
	}
	conf := object{
		"server_name":      opts.ServerName,
		"pid_file":         filepath.Join(dir, "homeserver.pid"),
		"log_config":       filepath.Join(dir, "log.yaml"),
		"signing_key_path": filepath.Join(dir, "signing.key"),
		"media_store_path": filepath.Join(dir, "media"),
		"uploads_path":     filepath.Join(dir, "uploads"),
		"database":         object{"name": "sqlite3", "args": object{"database": filepath.Join(dir, databaseFile)}},
		"no_tls":           true,
		"listeners": []object{{
			"port": opts.Port, "bind_addresses": []string{"127.0.0.1"}, "type": "http", "tls": false,
			// As behind any reverse proxy; nobody else can connect.
			"x_forwarded": true,
			"resources":   []object{{"names": resources, "compress": false}},
		}},
		"enable_registration":            !opts.DisableRegistration,
		"trusted_third_party_id_servers": append([]string{}, opts.TrustedIDServers...),
		"allowed_local_3pids":            append([]LocalPattern{}, opts.AllowedLocal3PIDs...),
		"bcrypt_rounds":                  4, // the least bcrypt knows
		"rc_message":                     plenty,
		"rc_registration":                plenty,
		"rc_login":                       object{"address": plenty, "account": plenty, "failed_attempts": plenty},
		// Nothing leaves the machine.
		"report_stats":                false,
		"trusted_key_servers":         []string{},
		"federation_domain_whitelist": []string{},
		"url_preview_enabled":         false,
	}
	if opts.CaptchaVerify != "" {
		conf["enable_registration_captcha"] = true
		conf["recaptcha_siteverify_api"] = opts.CaptchaVerify
		conf["recaptcha_public_key"], conf["recaptcha_private_key"] = "public", "private"
	}
	if opts.RequireEmail {
		conf["registrations_require_3pid"] = []string{"email"}
	}
	if opts.TrustAnyIDServer {
		conf["use_insecure_ssl_client_just_for_testing_do_not_use"] = true
	}
	if opts.ResetTrust {
		// Any other content of an email section would switch Synapse to
		// sending mails of its own.
		conf["email"] = object{"trust_identity_server_for_password_resets": true}
	}
	return conf
}

// writeTerms writes what is to be agreed to, and returns the section about it.
func writeTerms(dir string) (object, error) {
	folder := filepath.Join(dir, "terms")
	text := filepath.Join(folder, "en", "1.0.html")
	if err := os.MkdirAll(filepath.Dir(text), 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for the terms: %w", err)
	}
	if err := venv.WriteFile(text, []byte("<p>Be kind.</p>\n")); err != nil {
		return nil, fmt.Errorf("write the terms: %w", err)
	}
	return object{"template_dir": folder, "version": "1.0", "require_at_registration": true}, nil
}

// logging sends every line to standard error, where the log is kept from.
func logging() object {
	return object{
		"version": 1,
		// Tells the names of conversations, see [Server.Conversations].
		"loggers":                  object{"synapse.handlers.auth": object{"level": "DEBUG"}},
		"disable_existing_loggers": false,
		"formatters":               object{"line": object{"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
		"handlers":                 object{"stderr": object{"class": "logging.StreamHandler", "formatter": "line"}},
		"root":                     object{"level": "INFO", "handlers": []string{"stderr"}},
	}
}

// newSecret returns 128 random bits as text.
func newSecret() string {
	var secret [16]byte
	rand.Read(secret[:]) // never fails (crypto/rand)
	return hex.EncodeToString(secret[:])
}

// newSigningKey returns an Ed25519 seed as signedjson writes it.
func newSigningKey() string {
	var seed [32]byte
	rand.Read(seed[:])
	return "ed25519 a_local " + base64.RawStdEncoding.EncodeToString(seed[:])
}

// writeJSON writes value to path, readable by nobody else.
func writeJSON(path string, value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return venv.WriteFile(path, append(content, '\n'))
}
