// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"crypto/tls"
	"net"
	"strings"

	"github.com/emersion/go-smtp"
)

// connect dials, secures the connection, and logs in, within the time for
// that. What it finds on the way is told to an observer, which may be nil.
func (s *SMTP) connect(ctx context.Context, saw observer) (*conn, *SendError) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ConnectTimeout)
	defer cancel()
	raw, err := s.dial(ctx, "tcp", s.cfg.Address)
	if err != nil {
		return nil, failure(ctx, "dial", err)
	}
	saw.ok(StepConnect, raw.RemoteAddr().String())
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	c, failed := s.greet(ctx, raw, saw)
	if !stop() && failed == nil { // the end came with the last reply
		failed = failure(ctx, "hello", ctx.Err())
	}
	if failed != nil {
		_ = raw.Close() // it is of no use
		return nil, failed
	}
	return c, nil
}

func (s *SMTP) greet(ctx context.Context, raw net.Conn, saw observer) (*conn, *SendError) {
	helo := s.helo(raw)
	secured, state, failed := s.secure(ctx, raw, helo, saw)
	if failed != nil {
		return nil, failed
	}
	in := newReplies(secured)
	client := smtp.NewClient(in)
	client.CommandTimeout, client.SubmissionTimeout = s.cfg.Timeout, s.cfg.HandoverTimeout
	if err := client.Hello(helo); err != nil {
		return nil, failure(ctx, "hello", err)
	}
	if s.cfg.TLS != STARTTLS { // told already
		saw.ok(StepGreeting, "")
	}
	s.seen.note(client)
	saw.ok(StepEHLO, offers(client))
	method, err := s.login(ctx, client, state)
	if err != nil {
		return nil, s.explained(failure(ctx, "auth", err), client).hiding(append(in.secrets, s.cfg.Password)...)
	}
	in.secrets = nil
	if method != "" {
		saw.ok(StepAuth, string(method))
	}
	return &conn{Client: client, net: raw, replies: in}, nil
}

// secure puts TLS on a connection, as it is configured, and returns what to
// speak SMTP on.
func (s *SMTP) secure(ctx context.Context, raw net.Conn, helo string, saw observer) (net.Conn, *tls.ConnectionState, *SendError) {
	if s.cfg.TLS == NoTLS {
		return raw, nil, nil
	}
	if s.cfg.TLS == STARTTLS {
		if stage, err := startTLS(raw, helo, saw); stage == stageGreeting {
			return nil, nil, ungreeted(failure(ctx, "hello", err))
		} else if err != nil {
			return nil, nil, failure(ctx, stage, err)
		}
	}
	asked := false
	config := s.tls.Clone()
	config.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		return s.certificate(info)
	}
	tc := tls.Client(raw, config)
	if err := tc.HandshakeContext(ctx); err != nil {
		if asked {
			err = &askedError{err}
		}
		return nil, nil, failure(ctx, "tls", err)
	}
	state := tc.ConnectionState()
	saw.tls(state)
	if s.cfg.TLS == STARTTLS {
		return &greeted{Conn: tc, greeting: strings.NewReader("220 ready\r\n")}, &state, nil
	}
	return tc, &state, nil
}

// ungreeted gives a hint where a relay says nothing: with the setting for
// another port, each side waits for the other to begin.
func ungreeted(e *SendError) *SendError {
	if e.Reason == ReasonTimeout {
		e.Reason, e.Detail = ReasonNoGreeting, "timed out without a greeting; a port like 465 expects TLS from the first byte"
	}
	return e
}

// certificate is what a relay is shown that asks for one; an empty one if
// there is none to its liking.
func (s *SMTP) certificate(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	for i := range s.cfg.Certificates {
		if info.SupportsCertificate(&s.cfg.Certificates[i]) == nil {
			return &s.cfg.Certificates[i], nil
		}
	}
	return new(tls.Certificate), nil
}

// askedError is a handshake that failed after the relay had asked for a
// certificate. With TLS 1.2, its alert may say no more than that it failed.
type askedError struct{ error }

// Unwrap returns the error of the handshake.
func (e *askedError) Unwrap() error { return e.error }

// offers lists the extensions that matter here, in words of this package.
func offers(c *smtp.Client) string {
	var got []string
	for _, name := range []string{"8BITMIME", "SIZE", "SMTPUTF8", "DSN", "PIPELINING", "REQUIRETLS"} {
		if ok, _ := c.Extension(name); ok {
			got = append(got, name)
		}
	}
	for _, method := range AuthMethods()[1:] {
		if name := AuthMethod(method).mechanism(); c.SupportsAuth(name) {
			got = append(got, "AUTH="+name)
		}
	}
	return strings.Join(got, " ")
}
