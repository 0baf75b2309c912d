// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"errors"
	"net/http"
)

// SMSGateway is a guest of the name space threepid.sms. It hands messages to
// phones.
type SMSGateway interface {
	// Send hands over one message, and returns the gateway's own name for it, or
	// nothing. Several calls may run at once. It returns soon after ctx has ended.
	// See [SendError] for its errors.
	Send(ctx context.Context, m SMS) (id string, err error)
}

// SMS is one short message.
type SMS struct {
	// ID is the same for every try of one message, and tells nothing: a gateway
	// that knows idempotency keys gets it.
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
	// ReceiptURL is where the gateway reports what became of the message, or empty.
	ReceiptURL string
}

// SMSReporter is a gateway that reports what became of messages.
type SMSReporter interface {
	// ReceiptReader reads what it reports; nil means that this one does not.
	ReceiptReader() ReceiptReader
	// Verified says that a receipt proves by itself who sent it, so that one is
	// also taken at an address that is the same for all messages.
	Verified() bool
	// MaxReceiptURL is how long a receipt URL may be; zero means any length.
	MaxReceiptURL() int
}

// ReceiptReader reads what a gateway reports.
type ReceiptReader interface {
	// Read reads a request with that body. The URL is the public one, as the
	// gateway knows it. Whether the URL is one that we have given to a gateway was
	// seen to before; here it is whether the gateway has sent the request, or
	// ErrForged.
	Read(r *http.Request, body []byte, url string) (Receipt, error)
}

// ErrForged is a request that is not from the gateway, or not of now.
var ErrForged = errors.New("the receipt is not signed as it should be")

// Receipt is what a gateway reports of one message. Nothing in it names a number
// or a text.
type Receipt struct {
	State ReceiptState
	// Code is the gateway's or the network's word for a failure, for the log; or
	// empty.
	Code string
	// ReceiptURL is that of the message where the gateway repeats it, or empty. A
	// gateway that has one address for all receipts tells messages apart by it.
	ReceiptURL string
}

// ReceiptState is what a receipt says about a message.
type ReceiptState uint8

// The states.
const (
	Unknown     ReceiptState = iota // or on its way: of no interest
	Arrived                         // on the phone
	Undelivered                     // and it will not be
)
