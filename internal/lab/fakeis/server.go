// SPDX-License-Identifier: Apache-2.0

package fakeis

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/faults"
)

// Options say where the server is. The zero value is localhost.
type Options struct {
	// Host is the host part of the name that the server goes by: localhost or
	// 127.0.0.1, or any name that the test makes its client resolve to 127.0.0.1.
	// The certificate is for all of them.
	Host string
	// Port is where it listens on 127.0.0.1. Default: any that is free.
	Port int
}

// Server is the identity server. Create it with [Start] and stop it with
// [Server.Close]; it is safe for concurrent use.
type Server struct {
	faults.Queue
	host  string
	caPEM []byte
	pool  *x509.CertPool
	main  *endpoint
	decoy *endpoint // where redirects lead

	mu       sync.Mutex
	tokens   map[string]string   // user IDs by access token
	sessions map[string]Session  // by sid
	bindings map[threepid]string // user IDs
	terms    bool                // whether terms wait to be accepted
	requests []Request
}

// threepid names an address in its medium.
type threepid struct {
	Medium  string `json:"medium"`
	Address string `json:"address"`
}

// Start starts a server without users, sessions or bindings.
func Start(opts Options) (*Server, error) {
	if opts.Host == "" {
		opts.Host = "localhost"
	}
	hosts := []string{opts.Host}
	for _, host := range []string{"localhost", "127.0.0.1"} {
		if host != opts.Host {
			hosts = append(hosts, host)
		}
	}
	ca, err := certs.New()
	if err != nil {
		return nil, err
	}
	cert, err := ca.Issue(certs.ServerTemplate(hosts...))
	if err != nil {
		return nil, err
	}
	s := &Server{
		host: opts.Host, caPEM: ca.PEM(), pool: ca.Pool(),
		tokens: make(map[string]string), sessions: make(map[string]Session), bindings: make(map[threepid]string),
	}
	if s.main, err = serve(cert, s, opts.Port); err != nil {
		return nil, err
	}
	if s.decoy, err = serve(cert, http.HandlerFunc(s.serveDecoy), 0); err != nil {
		s.main.close()
		return nil, err
	}
	return s, nil
}

// Close stops the server and breaks off what it is at, hanging requests included.
func (s *Server) Close() {
	s.main.close()
	s.decoy.close()
}

// Name is the server's name, host:port.
func (s *Server) Name() string {
	return net.JoinHostPort(s.host, strconv.Itoa(s.main.port()))
}

// Port is the port on 127.0.0.1 that the server listens on.
func (s *Server) Port() int { return s.main.port() }

// Pool holds the authority that vouches for the server.
func (s *Server) Pool() *x509.CertPool { return s.pool.Clone() }

// CertificatePEM is the certificate of that authority, for programs that want a file.
func (s *Server) CertificatePEM() []byte { return slices.Clone(s.caPEM) }

// Connections is how many TCP connections the server has accepted, whether or not
// a request, or even TLS, came of them.
func (s *Server) Connections() int { return int(s.main.accepts.Load()) }

// Redirected is how many TCP connections the place that [Server.RedirectNext]
// leads to has accepted.
func (s *Server) Redirected() int { return int(s.decoy.accepts.Load()) }

// endpoint is one listener with its server.
type endpoint struct {
	net.Listener
	accepts atomic.Int64
	server  *http.Server
	done    chan struct{}
}

// serve starts an endpoint, on a free port if that is zero.
func serve(cert tls.Certificate, handler http.Handler, port int) (*endpoint, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	e := &endpoint{
		Listener: listener, done: make(chan struct{}),
		server: &http.Server{
			Handler: handler, ReadHeaderTimeout: 10 * time.Second,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
			// Broken handshakes and aborted answers are what tests make.
			ErrorLog: log.New(io.Discard, "", 0),
		},
	}
	go func() {
		defer close(e.done)
		_ = e.server.ServeTLS(e, "", "")
	}()
	return e, nil
}

// Accept counts.
func (e *endpoint) Accept() (net.Conn, error) {
	conn, err := e.Listener.Accept()
	if err == nil {
		e.accepts.Add(1)
	}
	return conn, err
}

func (e *endpoint) port() int { return e.Addr().(*net.TCPAddr).Port }

func (e *endpoint) close() {
	_ = e.server.Close()
	// Before its goroutine got to serving, the server does not know the listener.
	_ = e.Listener.Close()
	<-e.done
}
