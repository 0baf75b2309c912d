// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Proof is what a message carries.
type Proof uint8

const (
	// ProofLink is a link with a 256-bit token.
	ProofLink Proof = iota
	// ProofCode is a code of six digits, to be typed in.
	ProofCode
)

// Sentinels for what a caller has to tell apart.
var (
	// ErrNoSession: no session for this sid and client_secret. Deliberately the
	// same for an unknown sid and a wrong secret.
	ErrNoSession = errors.New("no such session")
	// ErrExpired: the session, or the token, is too old.
	ErrExpired = errors.New("session or token has expired")
	// ErrRevoked: too many wrong tokens, or revoked by the address's owner.
	ErrRevoked = errors.New("session was revoked")
	// ErrTokenIncorrect: the token is not one of this session.
	ErrTokenIncorrect = errors.New("token is incorrect")
	// ErrNotValidated is the only thing the homeserver-facing side is told,
	// whatever the reason.
	ErrNotValidated = errors.New("session is not validated")
	// ErrConsumed: the session has proven its address already, and nothing can
	// be taken back here.
	ErrConsumed = errors.New("session was used already")
	// ErrUnknownNonce: a homeserver asked for a token that no client requested.
	ErrUnknownNonce = errors.New("no token request is waiting for this nonce")
)

// WrongTokenError is ErrTokenIncorrect, and says of which session: clients differ in
// how they have to be told.
type WrongTokenError struct {
	Purpose threepid.Purpose
	Medium  threepid.Medium
}

func (e *WrongTokenError) Error() string { return ErrTokenIncorrect.Error() }

// Unwrap says what it is.
func (e *WrongTokenError) Unwrap() error { return ErrTokenIncorrect }

// LimitError refuses a request that came too soon.
type LimitError struct {
	// RetryAfter is how long to wait; always positive.
	RetryAfter time.Duration
	// Limit says which limit it was, if it was one of ours.
	Limit ratelimit.Kind
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("too many requests, retry after %s", e.RetryAfter)
}

// Request is a checked requestToken: its address is canonical and its fields
// are within their grammar.
type Request struct {
	Purpose threepid.Purpose
	threepid.ThreePID
	// Typed is the address as a homeserver has it that keeps what was typed, if that
	// is not Address; see [address.Spellings].
	Typed        string
	ClientSecret threepid.ClientSecret
	SendAttempt  int64
	NextLink     string
	Language     string
	// Brand names the look and the words of the messages: that of the virtual
	// host which was asked.
	Brand string
	Proof Proof
	// RepeatOnly refuses the request with a LimitError if it would send a
	// message: it was found to repeat an earlier one, so nobody has paid for it.
	RepeatOnly bool
	// Early has the request answered, and nothing sent nor counted as asked for: its
	// session is open, and its address has just had a message.
	Early bool
	// Domain is the registered domain that the address belongs to, or empty. It
	// is counted against its limit.
	Domain string
	// Client, AccessToken and UIA say who asks, as far as it is known: their
	// address, the token that they have sent, which proves nothing, and their
	// session of User-Interactive Authentication. They are counted against
	// limits, and not stored.
	Client      netip.Addr
	AccessToken threepid.AccessToken
	UIA         threepid.UIASession
	// LoggedIn says that the homeserver knows whoever asks, Granting that it is asked
	// whether the address may have a token, and Begun that the earlier stages of a
	// registration are complete. They say how sure it is that a message is wanted.
	LoggedIn, Granting, Begun bool
	// Held opens the session, and sends nothing: see [Service.Hold].
	Held bool
	// Discreet keeps from whoever asks what becomes of messages, and what the
	// owner of the address thinks of them; see discreet.go.
	Discreet bool
	// Origin is what the reader of the message is told of where it came from.
	Origin provenance.Origin
}

// Opened is the outcome of a Request.
type Opened struct {
	SID threepid.SID
	// Sent says that a message was put into the outbox; a repeated
	// send_attempt answers the same sid and sends nothing.
	Sent bool
	// Decoy says that the homeserver has refused, see decoy.go.
	Decoy bool
}

// Proven is what a completed validation proves.
type Proven struct {
	threepid.ThreePID
	ValidatedAt time.Time
}

// Message is what goes into the outbox together with its session.
type Message struct {
	// ID is stable per session and send: a retry is the same message.
	ID       string           `cbor:"1,keyasint"`
	SID      threepid.SID     `cbor:"2,keyasint"`
	Purpose  threepid.Purpose `cbor:"3,keyasint"`
	Medium   threepid.Medium  `cbor:"4,keyasint"`
	Address  string           `cbor:"5,keyasint"`
	Proof    Proof            `cbor:"6,keyasint,omitempty"`
	Token    threepid.Token   `cbor:"7,keyasint"`
	Language string           `cbor:"8,keyasint,omitempty"`
	Created  time.Time        `cbor:"9,keyasint"`
	// Expires is when the token ends; a message is not worth sending after it.
	Expires time.Time `cbor:"10,keyasint"`
	Brand   string    `cbor:"11,keyasint,omitempty"`
	// Refusal is the secret of the link "I did not ask for this".
	Refusal threepid.RefusalToken `cbor:"12,keyasint,omitempty"`
	// Attempt is the send_attempt that the client asked with.
	Attempt int64 `cbor:"13,keyasint,omitempty"`
	// Decoy says that it carries no token: it tells the owner of the address why
	// there is none, see decoy.go.
	Decoy bool `cbor:"14,keyasint,omitempty"`
	// Origin is what its reader is told of where the request came from.
	Origin provenance.Origin `cbor:"15,keyasint,omitzero"`
	// Notice is what it tells, if it tells of a change; see notify.go.
	Notice Notice `cbor:"16,keyasint,omitempty"`
	// By is the network that it was asked for from, as a short keyed hash, and Wanted
	// says that the owner of its address is known by it, or has asked the operator.
	By     uint64 `cbor:"17,keyasint,omitempty"`
	Wanted bool   `cbor:"18,keyasint,omitempty"`
	// Another says that another request like this one is open. It is not stored:
	// that is found out when the message is sent.
	Another bool `cbor:"-"`
	// Uncertain says that an earlier try may have sent it. It is not stored: the
	// outbox knows, and tells the transport.
	Uncertain bool `cbor:"-"`
}

// ThreePID is where it goes.
func (m Message) ThreePID() threepid.ThreePID {
	return threepid.ThreePID{Medium: m.Medium, Address: m.Address}
}

// Outbox takes messages. It is implemented by the delivery side, which keeps
// them under [OutboxKey] and tells of them by [NoteDelivery].
type Outbox interface {
	// Put writes the message into the transaction that opens its session, so
	// that neither exists without the other. Its error refuses the request.
	Put(txn store.Txn, m Message) error
	// Wake says that a message was committed. It must not block.
	Wake(p store.Partition, id string)
}

// Observer is told of what happened to sessions, for metrics. It must not
// block.
type Observer interface {
	// Transition is called once for each committed change of state; to is one
	// of "pending", "decoy" (in place of "pending"), "resent", "unsent" (in place
	// of all three, see discreet.go), "validated", "consumed", "revoked".
	Transition(purpose threepid.Purpose, medium threepid.Medium, to string)
	// Asked is called for each message that is asked for; limit is what has refused it,
	// or empty.
	Asked(class ratelimit.Class, medium threepid.Medium, limit ratelimit.Kind)
	// RanDry is called when there is nothing left for newcomers, and when there is again.
	RanDry(dry bool)
}
