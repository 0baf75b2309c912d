// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"crypto"
	"time"
)

// Mailer is a guest of the name space threepid.mailers.
type Mailer interface {
	// From is the sender's mailbox, "Name <address>" or an address. It is
	// known after Provision and does not change.
	From() string

	// Send delivers one composed message (RFC 5322, CRLF) to one bare address.
	// It is never called inside a request, and several calls may run at once.
	// It ends when ctx does. See [SendError] for its errors.
	Send(ctx context.Context, from, to string, message []byte) error
}

// Starter is a mailer or a gateway that has something to do before it can send. An
// error rejects the configuration, which `caddy validate` has let pass.
type Starter interface {
	Start() error
}

// Folder is a mailer or a gateway that writes messages into a folder and sends
// nothing, which the operator is told of.
type Folder interface {
	Folder() string
}

// Carrier is a mailer that may know of an address that no mail of its can go to. A
// client is waiting for the answer.
type Carrier interface {
	CannotCarry(ctx context.Context, to string) bool
}

// Relays is a mailer that has relays to tell about.
type Relays interface {
	// Status tells how each relay has done so far.
	Status() []RelayStatus
	// Check connects to each relay and tells what it found. It sends nothing.
	Check(ctx context.Context) []Finding
}

// The states of a relay.
const (
	InOrder  = "closed"    // it is used
	LeftOut  = "open"      // it has failed, and is left alone for a while
	TriedOut = "half-open" // it is used for one message, to see if it is back
)

// RelayStatus is how a relay has fared. No address is in it.
type RelayStatus struct {
	Name  string
	State string
	// Failing says that nothing gets through, although it is not left alone.
	Failing bool
	// RetryAt is when one that is left alone is tried again.
	RetryAt     time.Time
	LastError   string
	LastErrorAt time.Time
	// LastReply is what the relay said to it. It is not for a log.
	LastReply   string
	LastSuccess time.Time
	Sent        uint64 // taken by the relay
	Refused     uint64 // not taken, for a reason of the recipient or the message
	Failed      uint64 // not taken for another reason
	Uncertain   uint64 // of the failed ones: may have been taken all the same
	InFlight    int
}

// Finding is what one step of a check came to.
type Finding struct {
	Relay  string // its name among several
	Step   string // like "connect", "tls", "auth"
	OK     bool
	Code   string // a word of [SendError.Reason], or "ok"
	Detail string // for a person to read; it names no address and no secret
	// Said is what the relay replied, without addresses. It is not for a log.
	Said string
}

// Signer is a mailer whose mail is to be signed. Nil means that it is not. The key
// is known after Start; one that cannot sign rejects the configuration.
type Signer interface {
	Signer() *DKIM
}

// DKIM is what mail is signed with (RFC 6376).
type DKIM struct {
	Domain   string // aligned with that of From, for DMARC to count it
	Selector string // where the public key is: Selector._domainkey.Domain
	Key      crypto.Signer
}
