// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/venv"
)

// startLimit bounds a start whose context has no earlier deadline.
const startLimit = 3 * time.Minute

// listeningLine is what Twisted, or a newer Synapse, logs when a port is open.
var listeningLine = regexp.MustCompile(`(?:SynapseSite starting on|Synapse now listening on TCP port) (\d+)$`)

// Server is a running Synapse.
type Server struct {
	url     string
	secret  string
	env     Env
	dir     string
	process *venv.Process
}

// Start runs the Synapse of env as opts say and returns when it answers. The
// context bounds the start only: the server runs until [Server.Stop], or,
// on Linux, until this process ends in whatever way.
func Start(ctx context.Context, env Env, opts Options) (*Server, error) {
	config, secret, err := writeConfig(env.Version, opts)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(config)
	cas := opts.CAFiles
	if opts.CAFile != "" {
		cas = append([]string{opts.CAFile}, cas...)
	}
	s := &Server{secret: secret, env: env, dir: dir}
	s.process, err = env.Start(venv.Command{
		Args: []string{"-m", "synapse.app.homeserver", "--config-path", config},
		Dir:  dir, CAFiles: cas, Log: filepath.Join(dir, "synapse.log"), Listening: listeningLine,
	})
	if err != nil {
		return nil, fmt.Errorf("start synapse: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := s.await(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("start synapse: %w; its log ends:\n%s", err, venv.Tail(s.Logs(), 25))
	}
	return s, nil
}

// await waits until the server answers.
func (s *Server) await(ctx context.Context) error {
	port, err := s.process.Port(ctx)
	if err != nil {
		return err
	}
	s.url = fmt.Sprintf("http://127.0.0.1:%d", port)
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

// client talks to Synapse directly, whatever proxy the environment names, and
// leaves no connection behind.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// URL returns the base of the client-server API, without a trailing slash.
func (s *Server) URL() string { return s.url }

// Logs returns everything the server has logged so far. It contains what its
// clients sent; it is for the eyes of a test.
func (s *Server) Logs() string { return s.process.Logs() }

// Done is closed when the server has ended, asked or not.
func (s *Server) Done() <-chan struct{} { return s.process.Done() }

// Stop ends the server and returns when it is gone: politely first, by force
// after half a minute. More calls do nothing.
func (s *Server) Stop() { s.process.Stop() }
