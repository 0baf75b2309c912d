// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"errors"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"

	"github.com/emersion/go-smtp"
)

// stageGreeting is the part of stage "hello" in which we have said nothing yet.
const stageGreeting = "greeting"

// startTLS runs the dialogue up to the handshake. go-smtp can do that, but
// introduces itself as "localhost", which strict relays refuse.
func startTLS(raw net.Conn, helo string, saw observer) (stage string, err error) {
	in := newReplies(raw)
	text := textproto.NewConn(in)
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
	if lines := strings.Split(offers, "\n")[1:]; !slices.ContainsFunc(lines, startsTLS) {
		return "tls", errNoSTARTTLS
	}
	if err := text.PrintfLine("STARTTLS"); err != nil {
		return "tls", err
	}
	if _, _, err := text.ReadResponse(220); err != nil {
		return "tls", reply(err)
	}
	if text.R.Buffered() > 0 || in.in.Buffered() > 0 {
		return "tls", errInjected
	}
	return "", nil
}

// reply makes textproto's error the one that [failure] knows.
func reply(err error) error {
	if te, ok := errors.AsType[*textproto.Error](err); ok {
		return &smtp.SMTPError{Code: te.Code, Message: te.Msg}
	}
	return err
}

func startsTLS(extension string) bool {
	return extension == "STARTTLS" || strings.HasPrefix(extension, "STARTTLS ")
}

// greeted is a connection whose greeting was read before TLS began; go-smtp
// expects to read one.
type greeted struct {
	net.Conn
	greeting *strings.Reader
}

func (g *greeted) Read(p []byte) (int, error) {
	if n, err := g.greeting.Read(p); !errors.Is(err, io.EOF) {
		return n, err
	}
	return g.Conn.Read(p)
}
