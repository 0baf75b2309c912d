// SPDX-License-Identifier: Apache-2.0

package smtpmailer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
)

// Relay is one relay.
type Relay struct {
	// The relay, as host:port. Required.
	Server string `json:"server,omitempty"`

	// How the connection is protected: `starttls` (required of the relay, not
	// only used if offered), `tls` (from the first byte, mostly port 465), or
	// `none`, for a relay on this machine only. `starttls` for port 465, and `tls`
	// for 25 and 587, are refused. Default: `starttls`.
	TLS string `json:"tls,omitempty"`

	// Whether `tls none` may be used for a relay on another machine, such as a
	// container next door. Security: everybody on the way can read the mail,
	// and confirm addresses with it. A password is not sent even so. Default:
	// false.
	AllowPlaintext bool `json:"allow_plaintext,omitempty"`

	// The credentials. Use a placeholder like `{env.SMTP_PASSWORD}` for the
	// password, so that it does not stand in the configuration. Default: none.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`

	// How to log in: `auto` (the strongest that the relay offers), `plain`,
	// `login`, `scram-sha-256`, `scram-sha-256-plus`, `xoauth2` or
	// `oauthbearer`. Nothing of it is sent without TLS. Default: `auto`.
	Auth string `json:"auth,omitempty"`

	// A file with an OAuth 2.0 access token, in place of a password. It is read
	// for every new connection, so that something else can keep it fresh.
	TokenFile string `json:"token_file,omitempty"`

	// The name by which to introduce oneself to the relay (EHLO): a fully
	// qualified host name that resolves to this server, or an address literal
	// like `[192.0.2.1]`. Default: the system's host name if it is such a one,
	// else the literal of the connection's own address.
	Helo string `json:"helo,omitempty"`

	// How long one delivery may take, until the text of the mail is sent. The
	// relay's answer to that has 10 minutes (RFC 5321). Default: 30s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// A PEM file with the certificate authorities that are trusted for the
	// relay, instead of the system's. It is read at start.
	CAFile string `json:"ca_file,omitempty"`

	// The name that the relay's certificate must be for. Default: the host of
	// `server`.
	TLSServerName string `json:"tls_server_name,omitempty"`

	// PEM files with a certificate and its key, for a relay that asks for one.
	ClientCertificate string `json:"client_certificate,omitempty"`
	ClientKey         string `json:"client_key,omitempty"`

	// How many connections may be open at the same time; as many again may wait
	// for an answer that takes longer than 10 seconds. Default: 8.
	MaxConnections int `json:"max_connections,omitempty"`

	// How many messages per second are sent at most. Default: no limit.
	Rate float64 `json:"rate,omitempty"`

	cfg       mail.SMTPConfig // resolved, holds the password
	caFile    string
	tokenFile string
	cert, key string
}

// Judge expands the options, checks them, and reads the files.
func (r *Relay) Judge(e *config.Expander) {
	r.cfg = mail.SMTPConfig{
		Address:        e.Text("server", r.Server),
		TLS:            mail.TLSMode(e.Text("tls", r.TLS)),
		AllowPlaintext: r.AllowPlaintext,
		Username:       e.Text("username", r.Username),
		Password:       e.Text("password", r.Password),
		Auth:           mail.AuthMethod(e.Text("auth", r.Auth)),
		HELO:           e.Text("helo", r.Helo),
		Timeout:        time.Duration(r.Timeout),
		ServerName:     e.Text("tls_server_name", r.TLSServerName),
		MaxConnections: r.MaxConnections,
		Rate:           r.Rate,
	}
	r.caFile = e.Text("ca_file", r.CAFile)
	r.tokenFile = e.Text("token_file", r.TokenFile)
	r.cert, r.key = e.Text("client_certificate", r.ClientCertificate), e.Text("client_key", r.ClientKey)
	if r.tokenFile != "" {
		file := r.tokenFile
		r.cfg.Token = func(context.Context) (string, error) { return readToken(file) }
	}
	if e.Draft && slices.ContainsFunc([]string{r.Server, r.TLS, r.Auth, r.Helo, r.TLSServerName}, config.Placeholder) {
		return // what depends on what is not known yet
	}
	if e.Failed() && !e.Draft {
		return
	}
	e.Fail(r.check())
	if !e.Draft {
		r.open(e)
	}
}

// readToken reads an access token. The file's name is the operator's, its
// content is not for a log.
func readToken(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read token_file: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// check checks the options without I/O.
func (r *Relay) check() error {
	switch {
	case r.cfg.Address == "":
		return errors.New("server: is required; write: server smtp.example.org:587")
	case r.caFile != "" && r.cfg.TLS == mail.NoTLS:
		return errors.New("ca_file: is of no use with tls none; leave one of them out")
	case (r.cert == "") != (r.key == ""):
		return errors.New("client_certificate: a certificate and its key go together")
	case r.cert != "" && r.cfg.TLS == mail.NoTLS:
		return errors.New("client_certificate: is of no use with tls none; leave one of them out")
	case r.cfg.TLS == mail.NoTLS && r.cfg.Password != "":
		return errors.New("password: is never sent without tls; write `tls starttls`, or leave it out")
	case r.tokenFile != "" && r.cfg.Password != "":
		return errors.New("token_file: is in place of a password; leave one of them out")
	}
	cfg := r.cfg
	return cfg.Validate()
}

// open reads the files. The relay itself is not called, because a server must be
// able to start while its relay is down.
func (r *Relay) open(e *config.Expander) {
	var err error
	if r.caFile != "" {
		if r.cfg.RootCAs, err = config.CertPool(r.caFile); err != nil {
			e.Failf("ca_file %s: %w", r.caFile, err)
		}
	}
	if r.cert != "" && r.key != "" {
		pair, err := tls.LoadX509KeyPair(r.cert, r.key)
		if err != nil {
			e.Failf("client_certificate %s: %w", r.cert, err)
		}
		r.cfg.Certificates = []tls.Certificate{pair}
	}
}

// options are the subdirectives of a relay, apart from its address.
func (r *Relay) options(d *caddyfile.Dispenser) config.Options {
	return config.Options{
		"tls":             config.OneWord(d, &r.TLS, string(mail.STARTTLS), string(mail.ImplicitTLS), string(mail.NoTLS)),
		"allow_plaintext": config.OnOff(d, &r.AllowPlaintext),
		"username":        config.OneArg(d, &r.Username),
		"password":        config.OneArg(d, &r.Password),
		"auth":            config.OneWord(d, &r.Auth, mail.AuthMethods()...),
		"token_file":      config.OneArg(d, &r.TokenFile),
		"helo":            config.OneArg(d, &r.Helo),
		"timeout":         config.OneDuration(d, &r.Timeout),
		"ca_file":         config.OneArg(d, &r.CAFile),
		"tls_server_name": config.OneArg(d, &r.TLSServerName),
		"client_certificate": func() error {
			if !d.AllArgs(&r.ClientCertificate, &r.ClientKey) {
				return config.ErrArgs
			}
			return nil
		},
		"max_connections": config.OneCount(d, &r.MaxConnections),
		"rate":            config.OneRate(d, &r.Rate),
	}
}
