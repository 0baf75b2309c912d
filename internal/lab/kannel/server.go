// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/debian"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
)

// Server is a running Kannel with its test SMSC.
type Server struct {
	env            Env
	options        Options
	dir            string
	ports          ports
	statusPassword string
	received       *collector
	out            debian.Output
	processes      []*debian.Process // in the order of their start
	once           sync.Once
	err            error
}

// Start runs a server until [Server.Stop], or until this process ends in
// whatever way.
func Start(ctx context.Context, env Env, o Options) (*Server, error) {
	free, err := freeport.Take(4)
	if err != nil {
		return nil, err
	}
	return startOn(ctx, env, o, ports{admin: free[0], box: free[1], smsc: free[2], sendsms: free[3]})
}

func startOn(ctx context.Context, env Env, o Options, p ports) (_ *Server, err error) {
	o.setDefaults()
	s := &Server{env: env, options: o, ports: p, statusPassword: rand.Text(), received: newCollector()}
	if s.dir, err = os.MkdirTemp("", "kannel-"); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	if err := s.run(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, s.Logs()), s.Stop())
	}
	return s, nil
}

// run starts the programs: the other two panic when bearerbox is not there.
func (s *Server) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := os.WriteFile(s.conf(), []byte(s.options.configure(s.ports, s.statusPassword)), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	if err := s.spawn(&s.received.log, &s.out, bearerbox, "-v", "1", s.conf()); err != nil {
		return err
	}
	if err := s.await(ctx, s.listening); err != nil {
		return err
	}
	if err := s.spawn(&s.out, &s.out, smsbox, "-v", "1", s.conf()); err != nil {
		return err
	}
	// It is to send no message of its own, for which it wants an example.
	printed := io.MultiWriter(&s.received.smsc, &s.out)
	err := s.spawn(printed, printed, fakesmsc, "-v", "0", "-H", "127.0.0.1", "-r", strconv.Itoa(s.ports.smsc), "-m", "0", "1 2 text none")
	if err != nil {
		return err
	}
	return s.await(ctx, s.ready)
}

func (s *Server) conf() string { return filepath.Join(s.dir, "kannel.conf") }

func (s *Server) spawn(stdout, stderr io.Writer, program string, args ...string) error {
	cmd := exec.Command(s.env.tree().Path(program), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", s.env.tree().Libraries()}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	process, err := debian.Start(cmd)
	if err == nil {
		s.processes = append(s.processes, process)
	}
	return err
}

// SendSMSURL is where messages are handed in: by GET with all that there is to
// say in the query, or by POST with it in X-Kannel header fields.
func (s *Server) SendSMSURL() string {
	return fmt.Sprintf("http://127.0.0.1:%d/cgi-bin/sendsms", s.ports.sendsms)
}

// Username and Password are what the server takes.
func (s *Server) Username() string { return s.options.Username }

// Password belongs to Username.
func (s *Server) Password() string { return s.options.Password }

// Messages are those that the SMSC has got so far, in order of arrival.
func (s *Server) Messages() []Message {
	messages, _, _ := s.received.snapshot()
	return messages
}

// Wait waits until the SMSC has got n messages and returns the last of these.
func (s *Server) Wait(ctx context.Context, n int) (Message, error) {
	for {
		messages, changed, err := s.received.snapshot()
		if len(messages) >= n {
			return messages[n-1], nil
		}
		if err != nil {
			return Message{}, fmt.Errorf("%w\n%s", err, s.Logs())
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Message{}, fmt.Errorf("wait for message %d, having %d: %w\n%s", n, len(messages), ctx.Err(), s.Logs())
		}
	}
}

// Logs is what the programs have written so far.
func (s *Server) Logs() string { return s.out.String() }

// Stop ends the server, and removes its files.
func (s *Server) Stop() error {
	s.once.Do(func() {
		for i := range s.processes { // bearerbox last: it waits for the others
			s.processes[len(s.processes)-1-i].End()
		}
		s.err = os.RemoveAll(s.dir)
	})
	return s.err
}
