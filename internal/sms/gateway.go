// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"time"
)

// Message is one short message, ready to be handed to a gateway.
type Message struct {
	// ID is the same for every try of one message, and tells nothing: a
	// gateway that knows idempotency keys gets it.
	ID string
	// To is the recipient in E.164 without "+".
	To string
	// From is the originator: a number, a short code or a name; or empty.
	From string
	// Text is the body. Unicode and Segments say what the network makes of it.
	Text     string
	Unicode  bool
	Segments int
	// Repeat says that the outcome of an earlier try is not known: this one may
	// cost another message.
	Repeat bool
	// Tag is what a receipt for this message is known by. It cannot be guessed.
	Tag string
	// ReceiptURL is where the gateway reports what became of the message, or
	// empty. It has the tag in it.
	ReceiptURL string
}

// Accepted is what a gateway says when it has taken a message.
type Accepted struct {
	// ID is the gateway's own name for the message; or empty.
	ID string
}

// Gateway hands a message to a network. It returns soon after ctx has ended.
// Its error is a [*SendError]; any other is taken for final.
type Gateway interface {
	Send(ctx context.Context, m Message) (Accepted, error)
}

// The words of [SendError.Reason]: all there are, for metrics and for advice.
const (
	ReasonDNS         = "dns"           // the gateway's name does not resolve
	ReasonRefused     = "refused"       // nobody listens there
	ReasonUnreachable = "unreachable"   // another fault of the network
	ReasonTLS         = "tls-failed"    // its certificate, or the handshake
	ReasonTimeout     = "timeout"       // it, or we, ran out of time
	ReasonInterrupted = "interrupted"   // we were told to stop
	ReasonLost        = "lost"          // the connection ended in the middle
	ReasonRedirect    = "redirect"      // it sends us elsewhere; we do not go
	ReasonAnswer      = "answer"        // its answer, or our request, is not in the form that was configured
	ReasonAuth        = "auth-refused"  // the credentials are wrong
	ReasonCredit      = "no-credit"     // the account is empty, or may not send there or in that name
	ReasonRate        = "rate-limited"  // it asks to come back later
	ReasonGateway     = "gateway-error" // it fails by itself (5xx)
	ReasonRejected    = "rejected"      // it does not take this message or this number
	ReasonNoRoute     = "no-route"      // no gateway is configured for this number
	ReasonNoGateway   = "no-gateway"    // all of them are left alone for a while
	ReasonBudget      = "budget"        // another try would cost more than is left
	ReasonFolder      = "folder"        // the folder cannot be written
)

// SendError is why a message was not handed over. Its text holds neither the
// number nor the message, and nothing that the gateway has written.
type SendError struct {
	Reason string
	// Gateway is the configured name of the gateway, or empty.
	Gateway string
	// Status is that of its HTTP answer, or zero.
	Status int
	// Again says that trying again later may help.
	Again bool
	// Unsure says that the message may have been sent all the same, and paid
	// for: the request was written, and no answer came that says otherwise.
	Unsure bool
	// Fault says that the gateway or its configuration is at fault, and not
	// this message: all others will fare the same.
	Fault bool
	// Wait is how long the gateway asks to be left alone, or zero.
	Wait time.Duration
	// Err is the cause, or nil.
	Err error
}
