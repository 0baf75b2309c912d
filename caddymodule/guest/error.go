// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"time"
)

// The words that a [SendError] mostly has.
const (
	ReasonUnreachable = "unreachable"   // a fault of the network
	ReasonTimeout     = "timeout"       // it, or we, ran out of time
	ReasonAuth        = "auth-refused"  // the credentials are wrong
	ReasonCredit      = "no-credit"     // the account is empty, or may not send there
	ReasonRate        = "rate-limited"  // it asks to come back later
	ReasonGateway     = "gateway-error" // it fails by itself
	ReasonRejected    = "rejected"      // it does not take this message
)

// SendError is why a mailer or a gateway did not take a message. Any error with
// the same methods does as well, or with some of them; one without them is final. A
// nil pointer is no error: the message was taken. Errors are logged: their text must
// hold neither the recipient nor the message, nor what somebody else has written, which
// may repeat them.
type SendError struct {
	// Reason is a word for metrics and the log: one of those above. What is none of
	// them counts as [ReasonGateway].
	Reason string
	// Again says that trying again later may help.
	Again bool
	// Unsure says that the message may have been sent all the same. A mail that is Again,
	// too, is tried again once, ten minutes later; a text like any other, and paid for
	// each time.
	Unsure bool
	// Fault says that the relay, the gateway or the configuration is at fault, and
	// not this message: all others will fare the same.
	Fault bool
	// Wait is how long it asks to be left alone, or zero.
	Wait time.Duration
	// Err is the cause, or nil.
	Err error
}

func (e *SendError) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Err)
}

// Unwrap gives access to the cause.
func (e *SendError) Unwrap() error { return e.Err }

// Temporary has the message tried again, until it expires.
func (e *SendError) Temporary() bool { return e.Again }

// Uncertain reports whether the message may have been sent all the same.
func (e *SendError) Uncertain() bool { return e.Unsure }

// Operator reports whether all other messages will fare the same.
func (e *SendError) Operator() bool { return e.Fault }

// RetryAfter is how long to wait at least.
func (e *SendError) RetryAfter() time.Duration { return e.Wait }
