// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"
)

// Mode is how the server speaks TLS.
type Mode uint8

// The modes: no TLS at all, an upgrade by STARTTLS, TLS from the first byte.
const (
	Plain Mode = iota
	STARTTLS
	TLS
)

// Options say how the server behaves. The zero value accepts everything in
// plain text.
type Options struct {
	Mode     Mode
	SMTPUTF8 bool
	// Username and Password, when set, must be given before mail is accepted,
	// by one of Mechanisms: PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS.
	// XOAUTH2 and OAUTHBEARER take the Token instead. Default: PLAIN.
	Username, Password string
	Token              string
	Mechanisms         []string
	// SCRAM says how the server's side of SCRAM misbehaves.
	SCRAM SCRAMFault
	// Iterations is what SCRAM demands. Default: 4096.
	Iterations int
	// Fail is asked at each stage, with the address at hand; the error is
	// answered, if it is a [Reply], [ErrSilence] or [ErrDrop]. It may block.
	// The stages are "CONNECT" (before the greeting or the TLS handshake),
	// "EHLO", "AUTH", "MAIL", "RCPT", "BODY" (DATA was accepted, nothing is
	// read yet), "MIDDATA" (some of it is read) and "DATA" (all is read).
	Fail func(stage, address string) error
	// Hosts are the names and addresses that the certificate is for. Default:
	// localhost and 127.0.0.1.
	Hosts []string
	// Certificate is what is wrong with the certificate.
	Certificate CertificateFault
	// ClientCert makes the server demand Server.ClientCertificate of clients.
	ClientCert bool
	// MaxTLS, when set, is the newest version of TLS that is spoken.
	MaxTLS uint16
	// IdleTimeout closes silent connections, as real servers do.
	IdleTimeout time.Duration
	// Received, when set, is given the messages, which are then not kept.
	Received func(Message)
	// Transcript, when set, is given all that is said in the clear or inside of
	// TLS, both ways. It is written to by several connections at a time.
	Transcript io.Writer
}

// Server is a running server.
type Server struct {
	opts     Options
	smtp     *smtp.Server
	listener net.Listener
	caPEM    []byte
	pool     *x509.CertPool
	client   tls.Certificate
	once     sync.Once
	done     chan struct{} // closed by Close
	served   chan struct{} // closed when nothing is accepted any more

	mu          sync.Mutex
	messages    []Message
	changed     chan struct{} // closed and replaced when a message arrives
	open        map[net.Conn]struct{}
	stored      *scram.StoredCredentials
	connections int
	helos       []string
}

// Start listens on a free port of 127.0.0.1. The certificate, of an authority
// made for this server, is for Options.Hosts.
func Start(opts Options) (*Server, error) {
	s := &Server{
		opts: opts, changed: make(chan struct{}), open: map[net.Conn]struct{}{},
		done: make(chan struct{}), served: make(chan struct{}),
	}
	cert, err := s.makeCertificate()
	if err != nil {
		return nil, err
	}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.session))
	s.smtp.Domain = "localhost"
	s.smtp.EnableSMTPUTF8 = opts.SMTPUTF8
	s.smtp.MaxMessageBytes = 64 << 20
	s.smtp.ErrorLog = log.New(io.Discard, "", 0)
	s.smtp.ReadTimeout = opts.IdleTimeout
	if opts.Transcript != nil {
		s.smtp.Debug = opts.Transcript
	}
	config := s.tlsConfig(cert)
	var l net.Listener = &listener{Listener: s.listener, s: s}
	switch opts.Mode {
	case STARTTLS:
		s.smtp.TLSConfig = config
	case TLS:
		l = tls.NewListener(l, config)
	case Plain:
		s.smtp.AllowInsecureAuth = true
	}
	go func() {
		defer close(s.served)
		_ = s.smtp.Serve(l) // until Close
	}()
	return s, nil
}

func (s *Server) tlsConfig(cert tls.Certificate) *tls.Config {
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, MaxVersion: s.opts.MaxTLS}
	if s.opts.MaxTLS != 0 {
		config.MinVersion = min(config.MinVersion, s.opts.MaxTLS)
	}
	if s.opts.ClientCert {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, s.pool
	}
	return config
}

// Addr is host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// CAPEM is the certificate of the server's authority.
func (s *Server) CAPEM() []byte { return s.caPEM }

// CertPool trusts the server's authority and no other.
func (s *Server) CertPool() *x509.CertPool { return s.pool }

// Close stops the server and its connections.
func (s *Server) Close() error {
	s.once.Do(func() {
		close(s.done)
		_ = s.smtp.Close()
		_ = s.listener.Close() // in case Serve had not come as far as to know it
		<-s.served
		s.DropConnections()
	})
	return nil
}
