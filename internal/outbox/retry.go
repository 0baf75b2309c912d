// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// The delays between tries.
const (
	backoffBase = 5 * time.Second
	backoffCap  = 5 * time.Minute
)

// backoff draws the delay after a try that failed: anything between zero and a
// limit that doubles with every try. With full jitter, many messages that
// failed together do not come back together. The limit never goes beyond what
// is left of the token's life, so that the last part of it is used too.
func backoff(random io.Reader, tries int, left time.Duration) time.Duration {
	// 5 s doubled six times is beyond the cap; more could overflow.
	limit := min(backoffBase<<min(max(tries, 1)-1, 6), backoffCap, left)
	var b [8]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return limit // late is better than never
	}
	delay, _ := bits.Mul64(binary.BigEndian.Uint64(b[:]), uint64(limit)) // a fraction of the limit
	return time.Duration(delay)
}

// temporary reports whether trying again can help.
func temporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// reasonOf is the transport's word for a failure.
func reasonOf(err error) string {
	if failed, ok := errors.AsType[*mail.SendError](err); ok {
		return failed.Reason
	}
	if failed, ok := errors.AsType[*sms.SendError](err); ok {
		return failed.Reason
	}
	if failed, ok := errors.AsType[*guest.SendError](err); ok {
		return failed.Reason
	}
	return ""
}

// uncertain reports whether the message may have been sent all the same.
func uncertain(err error) bool {
	var u interface{ Uncertain() bool }
	return errors.As(err, &u) && u.Uncertain()
}

// late reports whether a message that may have been sent is sent again once, and late:
// a relay that is slow may still take a mail. A text is tried again like any other.
func late(m verification.Message, err error) bool {
	return m.Medium == threepid.Email && uncertain(err)
}

// operator reports whether the transport is at fault.
func operator(err error) bool {
	var t interface{ Operator() bool }
	return errors.As(err, &t) && t.Operator()
}

// retryAfter is how long an error asks to wait, or zero.
func retryAfter(err error) time.Duration {
	var t interface{ RetryAfter() time.Duration }
	if errors.As(err, &t) {
		return max(0, t.RetryAfter())
	}
	return 0
}
