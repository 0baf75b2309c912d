// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"fmt"
	"time"
)

func (e *SendError) Error() string {
	text := "sms: " + e.Reason
	if e.Gateway != "" {
		text = fmt.Sprintf("sms gateway %s: %s", e.Gateway, e.Reason)
	}
	if e.Status != 0 {
		text = fmt.Sprintf("%s (status %d)", text, e.Status)
	}
	if e.Err != nil {
		text = fmt.Sprintf("%s: %v", text, e.Err)
	}
	return text
}

// Unwrap gives access to the cause.
func (e *SendError) Unwrap() error { return e.Err }

// Temporary reports whether the outbox should try again.
func (e *SendError) Temporary() bool { return e.Again }

// Uncertain reports whether the message may have been sent all the same.
func (e *SendError) Uncertain() bool { return e.Unsure }

// Operator reports whether the gateway is at fault, and not the message.
func (e *SendError) Operator() bool { return e.Fault }

// RetryAfter is how long the outbox should wait at least.
func (e *SendError) RetryAfter() time.Duration { return e.Wait }
