// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
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
	// Username and Password, when set, must be given before mail is accepted.
	Username, Password string
	// Fail is asked at each stage, "MAIL", "RCPT" and "DATA", with the address
	// at hand; the error is answered. It may block.
	Fail func(stage, address string) error
	// IdleTimeout closes silent connections, as real servers do.
	IdleTimeout time.Duration
}

// Reply is an SMTP error for [Options.Fail].
func Reply(code int, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}, Message: text}
}

// Server is a running server.
type Server struct {
	opts     Options
	smtp     *smtp.Server
	listener net.Listener
	caPEM    []byte
	pool     *x509.CertPool

	mu          sync.Mutex
	messages    []Message
	changed     chan struct{} // closed and replaced when a message arrives
	connections int
	helos       []string
}

// Start listens on a free port of 127.0.0.1. The certificate, of an authority
// made for this server, is for localhost and 127.0.0.1.
func Start(opts Options) (*Server, error) {
	s := &Server{opts: opts, changed: make(chan struct{})}
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
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	l := s.listener
	switch opts.Mode {
	case STARTTLS:
		s.smtp.TLSConfig = config
	case TLS:
		l = tls.NewListener(l, config)
	case Plain:
		s.smtp.AllowInsecureAuth = true
	}
	go func() { _ = s.smtp.Serve(l) }() // until Close
	return s, nil
}

// Addr is host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// CAPEM is the certificate of the server's authority.
func (s *Server) CAPEM() []byte { return s.caPEM }

// CertPool trusts the server's authority and no other.
func (s *Server) CertPool() *x509.CertPool { return s.pool }

// Close stops the server and its connections.
func (s *Server) Close() error { return s.smtp.Close() }

// Connections is how many connections have come as far as EHLO.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Helos are the names that clients have introduced themselves by.
func (s *Server) Helos() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.helos...)
}

// Messages returns the messages so far, in order of arrival.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

// Wait waits until n messages have arrived.
func (s *Server) Wait(ctx context.Context, n int) ([]Message, error) {
	for {
		s.mu.Lock()
		have, changed := append([]Message(nil), s.messages...), s.changed
		s.mu.Unlock()
		if len(have) >= n {
			return have, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return have, fmt.Errorf("%d of %d messages: %w", len(have), n, ctx.Err())
		}
	}
}

// WaitFor waits for a message to a recipient that no earlier WaitFor has
// returned, and returns the oldest such.
func (s *Server) WaitFor(ctx context.Context, recipient string) (Message, error) {
	for {
		s.mu.Lock()
		for i := range s.messages {
			if m := &s.messages[i]; !m.taken && strings.EqualFold(m.To, recipient) {
				m.taken = true
				s.mu.Unlock()
				return *m, nil
			}
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Message{}, fmt.Errorf("no message to that recipient: %w", ctx.Err())
		}
	}
}

func (s *Server) deliver(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) makeCertificate() (tls.Certificate, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make key: %w", err)
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "smtptest authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make authority: %w", err)
	}
	s.caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	s.pool = x509.NewCertPool()
	s.pool.AppendCertsFromPEM(s.caPEM)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make key: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano() + 1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}, nil
}
