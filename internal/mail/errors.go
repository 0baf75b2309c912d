// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/caddy-threepid/caddy-threepid/internal/neterr"
)

// ErrClosed is why a transport sends nothing any more.
var ErrClosed = errors.New("the transport is closed")

var (
	errNoSTARTTLS  = errors.New("the relay does not offer STARTTLS")
	errInjected    = errors.New("data was sent ahead of the TLS handshake")
	errNoAuth      = errors.New("the relay offers no way to log in that is configured and supported")
	errPlainAuth   = errors.New("a password is never sent without tls")
	errNotSMTP     = errors.New("the relay does not speak SMTP")
	errLost        = errors.New("connection lost")
	errNoSMTPUTF8  = errors.New("address needs SMTPUTF8, relay has it not")
	errNo8BITMIME  = errors.New("the relay does not take messages with non-ASCII letters (no 8BITMIME)")
	errLoginBroken = errors.New("the relay asked for something else than name and password")
	errTooMuchWork = errors.New("the relay demands too much work for a log-in")
	errNoBinding   = errors.New("this TLS connection cannot be bound to a log-in")
	errAuthRefused = errors.New("the relay refused name or password")
	errUnproven    = errors.New("the relay did not prove that it knows the password")
	errNoToken     = errors.New("there is no valid token to log in with")
	errSpeaksTLS   = errors.New("the relay speaks TLS from the first byte; `tls` must be tls")
	errOddReply    = errors.New("its reply means neither yes nor no")
)

// SendError is a failed delivery. Its text tells the stage and the reply code
// only: what a relay writes into its replies often repeats the recipient.
type SendError struct {
	// Stage is where it failed: "wait" (for its turn), "dial", "tls", "hello",
	// "auth", "mail", "rcpt", "data", "write" (a folder), "closed" (our own
	// transport), "relay" (none is left to try).
	Stage string
	// Code is the SMTP reply code, or 0.
	Code int
	// Enhanced is the enhanced status code (RFC 3463) like "5.1.1", or empty.
	Enhanced string
	// Reason is one of the words that are listed with [ReasonDNS].
	Reason string
	// Detail is a text of ours on the cause, or empty.
	Detail string

	// cause is nothing that a relay wrote, nor knows an address.
	cause      error
	said       string // see Said
	uncertain  bool
	temporary  bool
	operator   bool
	retryAfter time.Duration
}

func (e *SendError) Error() string {
	text := "delivery failed at " + e.Stage
	if e.Code != 0 {
		text += fmt.Sprintf(" with reply %d", e.Code)
	}
	if e.Enhanced != "" {
		text += " " + e.Enhanced
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Unwrap returns the cause if it is ours, the context's, or one of TLS; never
// what a relay replied.
func (e *SendError) Unwrap() error { return e.cause }

// Temporary reports whether trying again can help.
func (e *SendError) Temporary() bool { return e.temporary }

// Operator reports whether the relay or its configuration is at fault, and not
// the recipient. Such mail is kept while the operator repairs it.
func (e *SendError) Operator() bool { return e.operator }

// Uncertain reports that the relay has the whole mail, and did not say whether it
// takes it. The outbox tries it again once, and late: a relay that is slow may still
// take the first.
func (e *SendError) Uncertain() bool { return e.uncertain }

// refused reports that the relay said no, and listens for what comes next.
func (e *SendError) refused() bool {
	return e.Code >= 400 && e.Code != 421 || e.lacking()
}

// lacking reports that this relay cannot carry this mail; another may.
func (e *SendError) lacking() bool {
	return errors.Is(e.cause, errNoSMTPUTF8) || errors.Is(e.cause, errNo8BITMIME)
}

// failure classifies an error: a 5xx to the recipient or the message is final;
// a refused log-in, broken TLS and a refused sender are the operator's to
// mend; everything else passes.
func failure(ctx context.Context, stage string, err error) *SendError {
	e := &SendError{Stage: stage, temporary: true}
	setUp := stage == "hello" || stage == "tls" || stage == "auth"
	var reply *smtp.SMTPError
	var garbled textproto.ProtocolError
	class := neterr.Of(err)
	switch {
	case errors.As(err, &reply):
		e.refuse(reply)
	case ctx.Err() != nil:
		e.Reason, e.Detail, e.cause = ReasonTimeout, "timed out", ctx.Err()
		if errors.Is(e.cause, context.Canceled) {
			e.Reason, e.Detail = ReasonInterrupted, "interrupted"
		}
	case class == neterr.Timeout:
		e.Reason, e.Detail, e.cause = ReasonTimeout, "timed out", context.DeadlineExceeded
	case errors.Is(err, errNoSMTPUTF8), errors.Is(err, errNo8BITMIME):
		e.because(err)
		e.temporary = false
	case errors.Is(err, errSpeaksTLS):
		e.because(errSpeaksTLS)
		e.operator = setUp
	case errors.As(err, &garbled): // its text is the relay's
		e.because(errNotSMTP)
		e.operator = setUp
	case stage == "dial":
		e.because(err)
	case setUp && tlsReason(err) != "": // with TLS 1.3, the last word on it comes with the first reply
		e.because(err)
		e.operator = true
	case !setUp || class.Broken():
		e.because(errLost)
	default:
		e.because(err)
		e.operator = true
	}
	return e
}

// because keeps an error that cannot hold an address: ours, and those of the
// network and of TLS before any recipient was named.
func (e *SendError) because(err error) {
	e.Reason, e.Detail, e.cause = reasonFor(e.Stage, err), clean(err.Error()), err
}

func (e *SendError) refuse(reply *smtp.SMTPError) {
	e.Code = reply.Code
	if c := reply.EnhancedCode; c[0] == 4 || c[0] == 5 {
		e.Enhanced = fmt.Sprintf("%d.%d.%d", c[0], c[1], c[2])
	}
	e.hear(reply)
	e.Reason = replyReason(e.Stage, e.Code, e.Enhanced)
	if reply.Code/100 != 5 {
		return
	}
	switch {
	case e.Reason == ReasonPolicy: // what Postfix says to who has not logged in, see RFC 3463 §3.8
		e.operator = true
	case reply.Code == 530, reply.Code == 534, reply.Code == 535, reply.Code == 538: // RFC 4954 §6: log in first, or in another way
		e.operator = true
	default:
		e.operator = e.Stage != "rcpt" && e.Stage != "data"
	}
	e.temporary = e.operator
}

// maxReason is the longest text of an error that is kept, in bytes: names in a
// certificate are written by whoever made it.
const maxReason = 200

func clean(text string) string { return line(text, maxReason) }
