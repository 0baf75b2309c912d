// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// The outcomes of a request that the client cut short. The server answered, but
// not with anything that is of use.
var (
	// ErrRedirect is the outcome of any 3xx answer: a server that a stranger
	// named must not name the next one.
	ErrRedirect = errors.New("server redirects")
	// ErrTooLarge is the outcome of an answer whose body exceeds the cap, as it
	// announces or as it turns out while the body is read.
	ErrTooLarge = errors.New("answer is too large")
	// ErrProtocol is the outcome of an answer that ends the conversation in
	// HTTP, such as a change of protocols that nobody asked for.
	ErrProtocol = errors.New("not an HTTP answer")
)

// The limits of a client whose [Options] set none.
const (
	DefaultTimeout     = 10 * time.Second
	DefaultDialTimeout = 5 * time.Second
	DefaultMaxBody     = 64 << 10
	DefaultMaxHeader   = 16 << 10
)

// userAgent says who calls, and nothing about versions.
const userAgent = "caddy-threepid"

// Options is the configuration of a client. The zero value is right for the
// internet; zero limits mean the defaults.
type Options struct {
	// RootCAs are the authorities that vouch for servers. Default: the system's.
	RootCAs *x509.CertPool

	// Allow lists names that may have any address, for labs whose servers are not
	// on the internet. A name counts with its port, and only as spelled here: what
	// it resolves to is not allowed under another name. TLS is verified as ever.
	Allow []Name

	// Timeout bounds a request from the look-up of the name to the last byte of
	// the answer's body.
	Timeout time.Duration
	// DialTimeout bounds the look-up and all attempts to connect, and then once
	// more the TLS handshake.
	DialTimeout time.Duration

	// MaxBody bounds the body of an answer.
	MaxBody int64
	// MaxHeader bounds the header of an answer.
	MaxHeader int64

	// Resolver looks names up. Default: the system's resolver.
	Resolver Resolver
	// Dial connects to the addresses that passed. Default: TCP, with a check that
	// the peer is the address.
	Dial DialFunc
}

// NewClient returns an HTTP client that connects to https URLs of server names in
// their canonical spelling ([Name.URL]) and to nothing else. It uses each
// connection once, speaks HTTP/1.1, keeps no cookies, and fails with [ErrName],
// [ErrForbiddenAddress], [ErrRedirect], [ErrTooLarge] or [ErrProtocol] among
// others. Reading the body of an answer can fail with [ErrTooLarge] too.
func NewClient(opts Options) *http.Client {
	opts = opts.withDefaults()
	d := &dialer{resolver: opts.Resolver, dial: opts.Dial, timeout: opts.DialTimeout, allow: make(map[Name]bool)}
	for _, name := range opts.Allow {
		d.allow[name] = true
	}
	// HTTP/2 has nothing to give to a connection with one request, and is more to
	// get wrong.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Client{
		Timeout: opts.Timeout,
		// checkedTransport has turned redirects into errors before this is asked.
		CheckRedirect: func(*http.Request, []*http.Request) error { return ErrRedirect },
		Transport: &checkedTransport{maxBody: opts.MaxBody, next: &http.Transport{
			// No Proxy: that of the environment would do our look-ups for us, and
			// would be dialled in place of what was checked.
			DialContext:            d.dialContext,
			TLSClientConfig:        &tls.Config{RootCAs: opts.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    opts.DialTimeout,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: opts.MaxHeader,
			Protocols:              &protocols,
		}},
	}
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.DialTimeout <= 0 {
		o.DialTimeout = DefaultDialTimeout
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.MaxHeader <= 0 {
		o.MaxHeader = DefaultMaxHeader
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Dial == nil {
		o.Dial = dialTCP
	}
	return o
}

// checkedTransport holds requests and answers to the rules of the package.
type checkedTransport struct {
	next    http.RoundTripper
	maxBody int64
}

func (g *checkedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkTarget(req); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	req = req.Clone(context.WithValue(req.Context(), requestContext{}, req.Context()))
	req.Header.Set("User-Agent", userAgent)
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := g.checkAnswer(resp); err != nil {
		// Closing hangs up: what the server still has to say is never read.
		_ = resp.Body.Close()
		return nil, err
	}
	resp.Body = &cappedBody{body: resp.Body, left: g.maxBody}
	return resp, nil
}

// checkTarget demands the URL of a canonical name, and a Host header that agrees.
func checkTarget(req *http.Request) error {
	name, err := ParseName(req.URL.Host)
	switch {
	case err != nil:
		return err
	case name.String() != req.URL.Host, req.Host != "" && req.Host != req.URL.Host:
		return fmt.Errorf("%w: not in its canonical spelling", ErrName)
	case req.URL.Scheme != "https", req.URL.User != nil:
		return fmt.Errorf("%w: not a plain https URL", ErrName)
	}
	return nil
}

// checkAnswer refuses answers that must not reach the caller.
func (g *checkedTransport) checkAnswer(resp *http.Response) error {
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 599:
		return fmt.Errorf("%w: status %d", ErrProtocol, resp.StatusCode)
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return fmt.Errorf("%w: status %d", ErrRedirect, resp.StatusCode)
	case resp.ContentLength > g.maxBody:
		return fmt.Errorf("%w: %d bytes announced", ErrTooLarge, resp.ContentLength)
	}
	return nil
}
