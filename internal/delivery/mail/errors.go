// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"errors"
	"fmt"

	"github.com/emersion/go-smtp"
)

// SendError is a failed delivery. Its text tells the stage and the reply code
// only: what a relay writes into its replies often repeats the recipient.
type SendError struct {
	// Stage is where it failed: "dial", "tls", "hello", "auth", "mail",
	// "rcpt", "data", "write" (a folder), "closed" (our own transport).
	Stage string
	// Code is the SMTP reply code, or 0.
	Code int
	// Reason is a word of ours on the cause, or empty.
	Reason string

	temporary bool
	operator  bool
}

// Error implements error.
func (e *SendError) Error() string {
	text := "delivery failed at " + e.Stage
	if e.Code != 0 {
		text += fmt.Sprintf(" with reply %d", e.Code)
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// Temporary reports whether trying again can help.
func (e *SendError) Temporary() bool { return e.temporary }

// Operator reports whether the relay or its configuration is at fault, and not
// the recipient. Such mail is kept while the operator repairs it.
func (e *SendError) Operator() bool { return e.operator }

// failure classifies an error: a 5xx to the recipient or the message is final;
// a refused log-in, broken TLS and a refused sender are the operator's to
// mend; everything else passes.
func failure(ctx context.Context, stage string, err error) *SendError {
	e := &SendError{Stage: stage, temporary: true}
	var reply *smtp.SMTPError
	switch {
	case errors.As(err, &reply):
		e.Code = reply.Code
		permanent := reply.Code/100 == 5
		e.operator = permanent && stage != "rcpt" && stage != "data"
		e.temporary = !permanent || e.operator
	case ctx.Err() != nil:
		e.Reason = "timed out"
	case stage == "tls" || stage == "auth":
		e.operator = true
		e.Reason = scrub(err)
	case stage == "dial":
		e.Reason = scrub(err)
	default:
		e.Reason = "connection lost"
	}
	return e
}

// scrub keeps the text of an error that cannot hold an address: those of the
// network and of TLS, before any recipient was named.
func scrub(err error) string { return err.Error() }
