// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
)

// Front speaks TLS on a port of 127.0.0.1 and passes what it is asked to a
// server that speaks plain HTTP. The port, and with it the name, is known
// before that server is started, which has to be told its name.
type Front struct {
	port   int
	server *http.Server
	target atomic.Pointer[url.URL]
	served chan struct{} // closed when nothing is accepted any more
	stop   sync.Once
}

// NewFront listens on a port, zero for a free one, with a certificate of the
// authority. Until [Front.Forward] it answers 502.
func NewFront(authority *certs.Authority, port int) (*Front, error) {
	cert, err := authority.Issue(certs.ServerTemplate("localhost", "127.0.0.1", "::1"))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("listen for TLS: %w", err)
	}
	f := &Front{port: l.Addr().(*net.TCPAddr).Port, served: make(chan struct{})}
	quiet := log.New(io.Discard, "", 0) // refused handshakes are part of tests
	f.server = &http.Server{
		Handler: &httputil.ReverseProxy{
			Rewrite: f.rewrite, ErrorLog: quiet,
			// A connection that is reused may be one that the server behind is
			// about to close, and a POST is not repeated.
			Transport: &http.Transport{DisableKeepAlives: true},
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
				w.WriteHeader(http.StatusBadGateway)
			},
		},
		ReadHeaderTimeout: time.Minute, ErrorLog: quiet,
	}
	secure := tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	go func() {
		defer close(f.served)
		_ = f.server.Serve(secure) // until Stop
	}()
	return f, nil
}

// rewrite sends a request on as it came. Without a target it goes nowhere.
func (f *Front) rewrite(r *httputil.ProxyRequest) {
	target := f.target.Load()
	if target == nil {
		target = &url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	}
	r.SetURL(target)
	r.Out.Host = r.In.Host
	r.SetXForwarded()
}

// Forward names the server to pass requests to, by its base URL.
func (f *Front) Forward(base string) error {
	target, err := url.Parse(base)
	if err != nil || target.Host == "" {
		return fmt.Errorf("forward to %q: no URL with a host", base)
	}
	f.target.Store(target)
	return nil
}

// Port is the port.
func (f *Front) Port() int { return f.port }

// Name is what the server is called: its server_name, or the id_server.
func (f *Front) Name() string { return fmt.Sprintf("localhost:%d", f.port) }

// URL is the base URL, without a trailing slash.
func (f *Front) URL() string { return "https://" + f.Name() }

// Stop closes the port and every connection. More calls do nothing.
func (f *Front) Stop() {
	f.stop.Do(func() {
		_ = f.server.Close() // there is nothing to do about it
		<-f.served
	})
}
