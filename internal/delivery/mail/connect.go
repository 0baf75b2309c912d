// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// connect dials, secures the connection, and logs in.
func (s *SMTP) connect(ctx context.Context) (*conn, *SendError) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", s.cfg.Address)
	if err != nil {
		return nil, failure(ctx, "dial", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	c, failed := s.greet(ctx, raw)
	if failed != nil {
		_ = raw.Close() // it is of no use
		return nil, failed
	}
	return c, nil
}

func (s *SMTP) greet(ctx context.Context, raw net.Conn) (*conn, *SendError) {
	secured := raw
	switch s.cfg.TLS {
	case STARTTLS:
		if stage, err := startTLS(raw, s.cfg.HELO); err != nil {
			return nil, failure(ctx, stage, err)
		}
		fallthrough
	case ImplicitTLS:
		tc := tls.Client(raw, s.tls)
		if err := tc.HandshakeContext(ctx); err != nil {
			return nil, failure(ctx, "tls", err)
		}
		secured = tc
	case NoTLS:
	}
	if s.cfg.TLS == STARTTLS {
		secured = &greeted{Conn: secured, greeting: strings.NewReader("220 ready\r\n")}
	}
	client := smtp.NewClient(secured)
	client.CommandTimeout, client.SubmissionTimeout = s.cfg.Timeout, s.cfg.Timeout
	if err := client.Hello(s.cfg.HELO); err != nil {
		return nil, failure(ctx, "hello", err)
	}
	if err := s.login(client); err != nil {
		return nil, failure(ctx, "auth", err)
	}
	return &conn{Client: client, net: raw}, nil
}

// startTLS runs the dialogue up to the handshake. go-smtp can do that, but
// introduces itself as "localhost", which strict relays refuse.
func startTLS(raw net.Conn, helo string) (stage string, err error) {
	text := textproto.NewConn(&dialogue{Conn: raw, left: maxDialogue})
	if _, _, err := text.ReadResponse(220); err != nil {
		return "hello", reply(err)
	}
	if err := text.PrintfLine("EHLO %s", helo); err != nil {
		return "hello", err
	}
	_, offers, err := text.ReadResponse(250)
	if err != nil {
		return "hello", reply(err)
	}
	offered := false
	for line := range strings.Lines(offers) {
		offered = offered || strings.EqualFold(strings.TrimSpace(line), "STARTTLS")
	}
	if !offered {
		return "tls", errNoSTARTTLS
	}
	if err := text.PrintfLine("STARTTLS"); err != nil {
		return "tls", err
	}
	if _, _, err := text.ReadResponse(220); err != nil {
		return "tls", reply(err)
	}
	if text.R.Buffered() > 0 {
		return "tls", errInjected
	}
	return "", nil
}

// reply makes textproto's error the one that [failure] knows.
func reply(err error) error {
	if te, ok := errors.AsType[*textproto.Error](err); ok {
		return &smtp.SMTPError{Code: te.Code}
	}
	return err
}

// maxDialogue bounds what is read before TLS, in bytes: textproto knows no
// limit, and anybody on the way can write.
const maxDialogue = 64 << 10

// dialogue is a connection for textproto to talk on, and not to close.
type dialogue struct {
	net.Conn
	left int
}

// Read implements net.Conn.
func (d *dialogue) Read(p []byte) (int, error) {
	if d.left <= 0 {
		return 0, errNotSMTP
	}
	n, err := d.Conn.Read(p[:min(len(p), d.left)])
	d.left -= n
	return n, err
}

// Close does nothing.
func (*dialogue) Close() error { return nil }

// greeted is a connection whose greeting was read before TLS began; go-smtp
// expects to read one.
type greeted struct {
	net.Conn
	greeting *strings.Reader
}

// Read implements net.Conn.
func (g *greeted) Read(p []byte) (int, error) {
	if n, err := g.greeting.Read(p); !errors.Is(err, io.EOF) {
		return n, err
	}
	return g.Conn.Read(p)
}

// login authenticates, if there is a password. go-sasl would send it in plain
// text; Validate has refused that already.
func (s *SMTP) login(c *smtp.Client) error {
	var mechanism sasl.Client
	switch {
	case s.cfg.Username == "":
		return nil
	case s.cfg.TLS == NoTLS:
		return errPlainAuth
	case c.SupportsAuth(sasl.Plain):
		mechanism = sasl.NewPlainClient("", s.cfg.Username, s.cfg.Password)
	case c.SupportsAuth(sasl.Login):
		mechanism = sasl.NewLoginClient(s.cfg.Username, s.cfg.Password)
	default:
		return errNoAuth
	}
	err := c.Auth(mechanism)
	var garbled base64.CorruptInputError
	if errors.Is(err, sasl.ErrUnexpectedServerChallenge) || errors.As(err, &garbled) {
		return errLoginBroken
	}
	return err
}
