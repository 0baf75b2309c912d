// SPDX-License-Identifier: Apache-2.0

// Package netfaults makes the errors of connections that fail: those of TLS by real
// handshakes, those of a network, which a test cannot break, as Go makes them. Whoever
// has words for such errors tests them with these.
package netfaults

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

// Host is whom all of these connections are for.
const Host = "host.example"

// Errors returns what connections end with, by what has happened.
func Errors(t testing.TB) map[string]error {
	t.Helper()
	all := map[string]error{
		"name that does not exist": dial(&net.DNSError{Err: "no such host", Name: Host, IsNotFound: true}),
		"name server that fails":   dial(&net.DNSError{Err: "server misbehaving", Name: Host, IsTemporary: true}),
		"name server is silent":    dial(&net.DNSError{Err: "i/o timeout", Name: Host, IsTimeout: true}),
		"nobody listens":           dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)),
		"no way to the host":       dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)),
		"no way to the network":    dial(os.NewSyscallError("connect", syscall.ENETUNREACH)),
		"not allowed to connect":   dial(os.NewSyscallError("connect", syscall.EACCES)),
		"reset while connecting":   dial(os.NewSyscallError("connect", syscall.ECONNRESET)),
		"nobody answers":           dial(os.NewSyscallError("connect", syscall.ETIMEDOUT)),
		"given up while dialling":  dial(context.Canceled),
		"too late to dial":         dial(context.DeadlineExceeded),
		"reset":                    &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)},
		"broken pipe":              &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)},
		"closed by ourselves":      &net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed},
		"HTTP without TLS":         http.ErrSchemeMismatch,
		"something else":           errors.New("malformed answer"),
	}
	for name, s := range handshakes(t) {
		all[name] = s.greet(t)
	}
	all["look-up is given up"] = lookUp(t)
	return all
}

// lookUp asks nobody, and does not wait for the answer, which there is only after it was
// given up: what is there at once might be taken.
func lookUp(t testing.TB) error {
	nobody := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (&net.Dialer{Resolver: &nobody}).DialContext(ctx, "tcp", net.JoinHostPort(Host, "443"))
	return err
}

func dial(cause error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: cause} }

// handshakes are those of TLS that fail: by the server's certificate, by what else it
// wants, or because it speaks something else.
func handshakes(t testing.TB) map[string]server {
	trusted, private := newAuthority(t, "Trusted Root"), newAuthority(t, "Private Root")
	good := trusted.issue(t, leaf{})
	shows := func(c tls.Certificate) server {
		return server{trusted: trusted, config: &tls.Config{Certificates: []tls.Certificate{c}}}
	}
	but := func(change func(*tls.Config)) server {
		s := shows(good)
		change(s.config)
		return s
	}
	says := func(text string) server { return server{trusted: trusted, says: text} }
	withRoot := private.issue(t, leaf{})
	withRoot.Certificate = append(withRoot.Certificate, private.cert.Raw)
	return map[string]server{
		"certificate has expired":             shows(trusted.issue(t, leaf{age: 2 * validity})),
		"certificate is not valid yet":        shows(trusted.issue(t, leaf{age: -validity})),
		"certificate for another name":        shows(trusted.issue(t, leaf{name: "other.example"})),
		"certificate of an unknown authority": shows(private.issue(t, leaf{})),
		"unknown authority shows itself":      shows(withRoot),
		"self-signed certificate":             shows(trusted.issue(t, leaf{selfSigned: true})),
		"certificate in its issuer's name":    shows(newAuthority(t, "leaf").issue(t, leaf{})),
		"certificate for something else":      shows(trusted.issue(t, leaf{usage: x509.ExtKeyUsageClientAuth})),
		"certificate with a critical unknown": shows(trusted.issue(t, leaf{extra: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true}}})),
		"TLS that is too old":                 but(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }),
		"server wants a certificate":          but(func(c *tls.Config) { c.MaxVersion, c.ClientAuth = tls.VersionTLS12, tls.RequireAnyClientCert }),
		"nothing in common":                   but(func(c *tls.Config) { c.CurvePreferences, c.MaxVersion = []tls.CurveID{0xfafa}, tls.VersionTLS12 }),
		"plain text":                          says("220 host.example ESMTP\r\n"),
		"handshake out of order":              says("\x16\x03\x03\x00\x04\x0e\x00\x00\x00"),
		"hangs up before the handshake":       says(""),
		"hangs up within a record":            says("\x16\x03\x03\x00"),
		"silence before the handshake":        {trusted: trusted, silent: true},
	}
}

// server is one whose handshakes fail.
type server struct {
	trusted *authority // by the client
	config  *tls.Config
	says    string // instead of TLS
	silent  bool
}

// greet returns what a client gets to know.
func (s server) greet(t testing.TB) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go s.serve(l)
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	if s.silent {
		_ = ours.SetDeadline(time.Unix(1, 0))
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.trusted.cert)
	err = tls.Client(ours, &tls.Config{ServerName: Host, RootCAs: roots, MinVersion: tls.VersionTLS12}).HandshakeContext(t.Context())
	if err == nil {
		t.Errorf("the handshake succeeded with %+v", s)
	}
	return err
}

// serve takes one connection, and listens until the client has gone.
func (s server) serve(l net.Listener) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	switch {
	case s.config != nil:
		_ = tls.Server(c, s.config).Handshake() // the client is asked
	case s.silent:
	default:
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte(s.says))
		return
	}
	_, _ = io.Copy(io.Discard, c)
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

const validity = time.Hour

// leaf is a certificate that is to be made, where it is not as it should be.
type leaf struct {
	name       string
	age        time.Duration
	usage      x509.ExtKeyUsage
	extra      []pkix.Extension
	selfSigned bool
}

func newAuthority(t testing.TB, name string) *authority {
	a := &authority{}
	a.cert, a.key = a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-validity), NotAfter: time.Now().Add(validity),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

func (a *authority) issue(t testing.TB, l leaf) tls.Certificate {
	begin := time.Now().Add(-validity/2 - l.age)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "leaf"}, DNSNames: []string{cmp.Or(l.name, Host)}, NotBefore: begin, NotAfter: begin.Add(validity),
		ExtKeyUsage: []x509.ExtKeyUsage{cmp.Or(l.usage, x509.ExtKeyUsageServerAuth)}, ExtraExtensions: l.extra,
	}
	if l.selfSigned {
		a = &authority{}
	}
	cert, key := a.sign(t, template)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// sign makes a certificate, which signs itself if there is no authority yet.
func (a *authority) sign(t testing.TB, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}
