// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

const (
	// startLimit bounds a start whose context has no earlier deadline.
	startLimit = time.Minute
	// stopLimit is how long Synapse may take to leave by itself.
	stopLimit = 5 * time.Second
)

// errExited is why a start fails when the process ends before it listens.
var errExited = errors.New("synapse exited")

// Server is a running Synapse.
type Server struct {
	url     string
	secret  string
	logPath string
	process *process
	stop    sync.Once
}

// Start runs the Synapse of env as opts say and returns when it answers. The
// context bounds the start only: the server runs until [Server.Stop], or,
// on Linux, until this process ends in whatever way.
func Start(ctx context.Context, env Env, opts Options) (*Server, error) {
	config, secret, err := writeConfig(opts)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(config)
	s := &Server{secret: secret, logPath: filepath.Join(dir, "synapse.log")}
	sink, err := openSink(s.logPath)
	if err != nil {
		return nil, fmt.Errorf("open synapse's log: %w", err)
	}
	cmd := exec.Command(env.Python, "-m", "synapse.app.homeserver", "--config-path", config)
	cmd.Dir = dir
	cmd.Env = append(cleanEnv(os.Environ()), "PYTHONPATH="+env.shims(), "PYTHONUNBUFFERED=1")
	if opts.CAFile != "" {
		ca, err := filepath.Abs(opts.CAFile)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("find the CA file: %w", err), sink.file.Close())
		}
		// OpenSSL's own variables; the directory would add the system's roots.
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+ca, "SSL_CERT_DIR="+filepath.Join(dir, "no-roots"))
	}
	if s.process, err = spawn(cmd, sink); err != nil {
		return nil, fmt.Errorf("start synapse: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := s.await(ctx, sink); err != nil {
		s.Stop()
		return nil, fmt.Errorf("start synapse: %w; its log ends:\n%s", err, tail(s.Logs(), 25))
	}
	return s, nil
}

// await waits until the server answers. It needs no polling: Synapse logs the
// port once it listens on it, and from then on the kernel queues connections.
func (s *Server) await(ctx context.Context, sink *logSink) error {
	select {
	case port := <-sink.listening:
		s.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	case <-s.process.done:
		return errors.Join(errExited, s.process.err)
	case <-ctx.Done():
		return ctx.Err()
	}
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
func (s *Server) Logs() string {
	content, err := os.ReadFile(s.logPath)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	return string(content)
}

// Done is closed when the server has ended, asked or not.
func (s *Server) Done() <-chan struct{} { return s.process.done }

// Stop ends the server and returns when it is gone: politely first, by force
// after five seconds. More calls do nothing.
func (s *Server) Stop() {
	s.stop.Do(func() {
		s.process.terminate(false)
		select {
		case <-s.process.done:
			return
		case <-time.After(stopLimit):
		}
		s.process.terminate(true)
		<-s.process.done
	})
}
