// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"errors"
	"io"
	"net"
	"net/textproto"
	"strings"

	"github.com/emersion/go-smtp"
)

// stageGreeting is the part of stage "hello" in which we have said nothing yet.
const stageGreeting = "greeting"

// startTLS runs the dialogue up to the handshake. go-smtp can do that, but
// introduces itself as "localhost", which strict relays refuse.
func startTLS(raw net.Conn, helo string, saw observer) (stage string, err error) {
	text := textproto.NewConn(&dialogue{Conn: raw, left: maxDialogue})
	if _, _, err := text.ReadResponse(220); err != nil {
		return stageGreeting, reply(err)
	}
	saw.ok(StepGreeting, "")
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
