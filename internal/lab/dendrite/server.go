// SPDX-License-Identifier: Apache-2.0

package dendrite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/debian"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
)

// startLimit bounds a start whose context has no earlier deadline.
const startLimit = 2 * time.Minute

// client talks to Dendrite directly, whatever proxy the environment names, and
// leaves no connection behind.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Server is a running Dendrite.
type Server struct {
	url     string
	secret  string
	log     string
	process *debian.Process
	stop    sync.Once
}

// Start runs the Dendrite of env as opts say and returns when it answers. The
// context bounds the start only: the server runs until [Server.Stop], or until
// this process ends in whatever way.
func Start(ctx context.Context, env Env, opts Options) (*Server, error) {
	config, secret, err := env.writeConfig(ctx, opts)
	if err != nil {
		return nil, err
	}
	if opts.Port == 0 {
		ports, err := freeport.Take(1)
		if err != nil {
			return nil, err
		}
		opts.Port = ports[0]
	}
	dir := filepath.Dir(config)
	s := &Server{url: fmt.Sprintf("http://127.0.0.1:%d", opts.Port), secret: secret, log: filepath.Join(dir, "dendrite.log")}
	out, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open dendrite's log: %w", err)
	}
	defer out.Close() // the process has its own copy
	args := []string{"-config", config, "-http-bind-address", "127.0.0.1:" + strconv.Itoa(opts.Port)}
	if opts.OpenRegistration {
		args = append(args, "-really-enable-open-registration")
	}
	cmd := exec.Command(env.program(programs[0]), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, os.Environ(), out, out
	if len(opts.CAFiles) > 0 {
		roots := filepath.Join(dir, "roots.pem")
		if err := bundle(roots, opts.CAFiles); err != nil {
			return nil, err
		}
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+roots, "SSL_CERT_DIR="+filepath.Join(dir, "none"))
	}
	if s.process, err = debian.Start(cmd); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := s.await(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("start dendrite: %w; its log ends:\n%s", err, tail(s.Logs(), 25))
	}
	return s, nil
}

// await waits until the server answers.
func (s *Server) await(ctx context.Context) error {
	for {
		err := s.answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.process.Gone():
			return errors.New("it exited")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Server) answers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/_matrix/client/versions", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/versions answered %s", resp.Status)
	}
	return nil
}

// URL returns the base of the client-server API, without a trailing slash.
func (s *Server) URL() string { return s.url }

// Logs returns everything the server has logged so far. It contains what its
// clients sent; it is for the eyes of a test.
func (s *Server) Logs() string {
	raw, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// Stop ends the server and returns when it is gone. More calls do nothing.
func (s *Server) Stop() { s.stop.Do(s.process.End) }
