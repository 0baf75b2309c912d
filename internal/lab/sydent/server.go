// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/venv"
)

// startLimit bounds a start whose context has no earlier deadline.
const startLimit = 3 * time.Minute

// listeningLine is what Twisted logs when the port is open.
var listeningLine = regexp.MustCompile(`- Site starting on (\d+)$`)

// Server is a running Sydent with TLS in front of it.
type Server struct {
	env       Env
	dir       string
	authority *certs.Authority
	front     *Front
	command   venv.Command
	process   *venv.Process
	client    *http.Client
}

// Start runs the Sydent of env as opts say and returns when it answers. The
// context bounds the start only: the server runs until [Server.Stop], or, on
// Linux, until this process ends in whatever way.
func Start(ctx context.Context, env Env, opts Options) (s *Server, err error) {
	dir, err := prepare(opts.Dir)
	if err != nil {
		return nil, err
	}
	s = &Server{env: env, dir: dir, authority: opts.Authority}
	defer func() {
		if err != nil {
			s.Stop()
			s = nil
		}
	}()
	if s.authority == nil {
		if s.authority, err = certs.New(); err != nil {
			return s, err
		}
	}
	if err := venv.WriteFile(s.CAFile(), s.authority.PEM()); err != nil {
		return s, fmt.Errorf("write the authority's certificate: %w", err)
	}
	if s.front, err = NewFront(s.authority, opts.Port); err != nil {
		return s, err
	}
	// No proxy of the environment is asked, no connection is left behind.
	s.client = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: s.authority.Pool(), MinVersion: tls.VersionTLS12},
	}}
	if err := writeConfig(dir, s.Name(), opts); err != nil {
		return s, err
	}
	s.command = venv.Command{
		Args: []string{"-m", "sydent.sydent"}, Dir: dir, Env: []string{"SYDENT_CONF=" + filepath.Join(dir, configFile)},
		CAFiles: opts.CAFiles, Log: filepath.Join(dir, logFile), Listening: listeningLine,
	}
	return s, s.launch(ctx)
}

// launch starts the process behind the front and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var err error
	if s.process, err = s.env.Start(s.command); err != nil {
		return fmt.Errorf("start sydent: %w", err)
	}
	if err := s.await(ctx); err != nil {
		return fmt.Errorf("start sydent: %w; its log ends:\n%s", err, venv.Tail(s.Logs(), 25))
	}
	return nil
}

// await waits until the server answers, through its front.
func (s *Server) await(ctx context.Context) error {
	port, err := s.process.Port(ctx)
	if err != nil {
		return err
	}
	if err := s.front.Forward(fmt.Sprintf("http://127.0.0.1:%d", port)); err != nil {
		return err
	}
	answer, err := s.Do(ctx, http.MethodGet, "/_matrix/identity/v2", "", nil)
	if err == nil && answer.Status != http.StatusOK {
		err = errors.New("its status endpoint answered " + answer.String())
	}
	return err
}

// Name is what a client says in id_server: localhost and the port.
func (s *Server) Name() string { return s.front.Name() }

// URL is the base URL, without a trailing slash.
func (s *Server) URL() string { return s.front.URL() }

// CAFile is the PEM file of the authority that signed the certificate.
func (s *Server) CAFile() string { return filepath.Join(s.dir, caFile) }

// Pool trusts that authority and no other.
func (s *Server) Pool() *x509.CertPool { return s.authority.Pool() }

// Age makes every validation session older than it is: it stops the server,
// which keeps its database locked, changes that and starts it again, under the
// same name. Sydent has no other clock than the machine's.
func (s *Server) Age(ctx context.Context, by time.Duration) error {
	const program = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
with db:
    db.execute("update threepid_validation_sessions set mtime = mtime - ?", (int(sys.argv[2]),))`
	s.process.Stop()
	_, err := s.env.Output(ctx, "-c", program, filepath.Join(s.dir, databaseFile), strconv.FormatInt(by.Milliseconds(), 10))
	if err != nil {
		return fmt.Errorf("age the sessions: %w", err)
	}
	return s.launch(ctx)
}

// Logs returns everything the server has logged so far, addresses and codes
// included; it is for the eyes of a test.
func (s *Server) Logs() string { return s.process.Logs() }

// Done is closed when the server has ended, asked or not.
func (s *Server) Done() <-chan struct{} { return s.process.Done() }

// Stop ends the server and frees its port. More calls do nothing.
func (s *Server) Stop() {
	if s.front != nil {
		s.front.Stop()
	}
	if s.process != nil {
		s.process.Stop()
	}
}
