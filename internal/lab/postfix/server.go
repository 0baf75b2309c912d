// SPDX-License-Identifier: Apache-2.0

package postfix

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/debian"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// Options say what a server is like.
type Options struct {
	// Hostname is its own name; default: mx.postfix.test.
	Hostname string
	// Username and Password are what it takes; default: user and secret.
	Username, Password string
	// Mechanisms are the ways to log in; default: PLAIN, LOGIN, SCRAM-SHA-256.
	Mechanisms []string
	// Recipients are the addresses that exist; default: reader@example.org.
	// "@example.org" stands for all of a domain.
	Recipients []string
	// Settings are further lines of main.cf, or others in place of the usual.
	Settings map[string]string
	// Next says how the server behaves that is given the mail.
	Next smtptest.Options
}

func (o *Options) setDefaults() {
	o.Hostname = cmp.Or(o.Hostname, "mx.postfix.test")
	o.Username, o.Password = cmp.Or(o.Username, "user"), cmp.Or(o.Password, "secret")
	if o.Mechanisms == nil {
		o.Mechanisms = []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"}
	}
	if o.Recipients == nil {
		o.Recipients = []string{"reader@example.org"}
	}
	o.Next.SMTPUTF8 = true
}

// domains are those of the recipients.
func (o *Options) domains() []string {
	all := make([]string, 0, len(o.Recipients))
	for _, address := range o.Recipients {
		_, domain, _ := strings.Cut(address, "@")
		all = append(all, domain)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Server is a running Postfix.
type Server struct {
	files layout
	ports []int // with STARTTLS, and with TLS from the first byte
	ca    *certs.Authority
	next  *smtptest.Server
	main  *debian.Process // master(8)
	out   debian.Output
	once  sync.Once
	err   error
}

// Start runs a server until [Server.Stop], or until this process ends in
// whatever way.
func Start(ctx context.Context, env Env, o Options) (*Server, error) {
	o.setDefaults()
	s := &Server{}
	who, err := findOwner()
	if err != nil {
		return nil, err
	}
	if s.files.base, err = os.MkdirTemp("", "postfix-"); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	if err := s.prepare(ctx, env, o, who); err != nil {
		return nil, errors.Join(err, s.clean())
	}
	if err := s.spawn(env); err != nil {
		return nil, errors.Join(err, s.clean())
	}
	if err := s.await(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, s.Logs()), s.Stop())
	}
	return s, nil
}

func (s *Server) prepare(ctx context.Context, env Env, o Options, who ids) (err error) {
	// The owner of the queue has to get through to it.
	if err := os.Chmod(s.files.base, 0o755); err != nil {
		return fmt.Errorf("open a directory: %w", err)
	}
	if err := s.files.makeDirectories(who); err != nil {
		return err
	}
	if s.ca, err = certs.New(); err != nil {
		return err
	}
	if s.next, err = smtptest.Start(o.Next); err != nil {
		return err
	}
	if s.ports, err = freeport.Take(2); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(s.next.Addr())
	if err != nil {
		return err
	}
	if err := s.files.configure(env, o, s.ports, "["+host+"]:"+port, s.ca); err != nil {
		return err
	}
	// master would tell nobody what it has against its configuration.
	if _, err := debian.Run(ctx, s.files.base, env.environ(), env.command("postconf"), "-c", s.files.conf(), "-m"); err != nil {
		return fmt.Errorf("check the configuration: %w", err)
	}
	return s.files.setPassword(ctx, env, o, who)
}

// spawn starts master, which tells its whole process group when it is told to
// end.
func (s *Server) spawn(env Env) (err error) {
	cmd := exec.Command(filepath.Join(env.daemons(), "master"), "-c", s.files.conf(), "-d")
	cmd.Dir = s.files.queue()
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"}, env.environ()...)
	cmd.Stdout, cmd.Stderr = &s.out, &s.out
	s.main, err = debian.Start(cmd)
	return err
}

// Addr is host:port of submission with STARTTLS.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.ports[0]) }

// AddrTLS is host:port of submission with TLS from the first byte.
func (s *Server) AddrTLS() string { return fmt.Sprintf("127.0.0.1:%d", s.ports[1]) }

// CAPool trusts the authority of the server's certificate, and no other.
func (s *Server) CAPool() *x509.CertPool { return s.ca.Pool() }

// ClientCertificate makes one that the server takes in place of a log-in.
func (s *Server) ClientCertificate() (tls.Certificate, error) {
	return s.ca.Issue(certs.ClientTemplate("client of Postfix"))
}

// Messages are those that came out at the other end, in order of arrival.
func (s *Server) Messages() []smtptest.Message { return s.next.Messages() }

// WaitFor waits for a message to a recipient that no earlier WaitFor has
// returned.
func (s *Server) WaitFor(ctx context.Context, recipient string) (smtptest.Message, error) {
	m, err := s.next.WaitFor(ctx, recipient)
	if err != nil {
		return m, fmt.Errorf("%w\n%s", err, s.Logs())
	}
	return m, nil
}

// Logs is what the server has written so far.
func (s *Server) Logs() string {
	content, err := os.ReadFile(s.files.log())
	if err != nil {
		content = nil // it has not come as far
	}
	return s.out.String() + string(content)
}

// Stop ends the server, and removes its files.
func (s *Server) Stop() error {
	s.once.Do(func() {
		s.main.End()
		s.err = s.clean()
	})
	return s.err
}

func (s *Server) clean() error {
	if s.next != nil {
		if err := s.next.Close(); err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Clean(s.files.base))
}
