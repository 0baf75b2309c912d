// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ReceiptState is what a receipt says about a message.
type ReceiptState uint8

// The states.
const (
	Unknown     ReceiptState = iota // the gateway does not know, or says what we do not
	Underway                        // on its way; of no interest
	Arrived                         // on the phone
	Undelivered                     // and it will not be
)

// Receipt is what a gateway reports of one message. Nothing in it names a
// number or a text.
type Receipt struct {
	State ReceiptState
	// GatewayID is the gateway's name for the message; or empty.
	GatewayID string
	// Code is the gateway's or the network's word for a failure; or empty.
	Code string
	// At is when it happened; or zero.
	At time.Time
	// MessageID and ReceiptURL are Message.ID and Message.ReceiptURL where the
	// gateway repeats them, or empty. A gateway that has one address for all
	// receipts tells messages apart by these.
	MessageID, ReceiptURL string
}

// The outcomes of a request that is no good receipt.
var (
	// ErrForged is a request that is not from the gateway, or not of now.
	ErrForged = errors.New("the receipt is not signed as it should be")
	// ErrReceipt is one that cannot be read.
	ErrReceipt = errors.New("the receipt cannot be read")
)

// ReceiptReader reads what a gateway reports. The tag in the URL is the
// caller's to check: here it is whether the gateway has sent it.
type ReceiptReader interface {
	// Read reads a request with that body. The URL is the public one, as the
	// gateway knows it.
	Read(r *http.Request, body []byte, url string) (Receipt, error)
}

// receiptWindow is how old, and how far ahead, a signed time may be.
const receiptWindow = 5 * time.Minute

// ReceiptOptions are what a reader needs to know.
type ReceiptOptions struct {
	// Secret is what the vendor signs with. Without one, nothing is verified
	// beyond what the caller does.
	Secret string
	// User and Password, if set, are demanded by basic authentication.
	User, Password string
	Now            func() time.Time // the clock; default: time.Now
}

func (o ReceiptOptions) withDefaults() ReceiptOptions {
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// receiptFunc reads a request from whom has shown name and password, where they are
// demanded.
type receiptFunc func(r *http.Request, body []byte, url string) (Receipt, error)

// receiptReader is a [ReceiptReader] of such a function.
type receiptReader struct {
	o    ReceiptOptions
	read receiptFunc
}

func (v receiptReader) Read(r *http.Request, body []byte, url string) (Receipt, error) {
	if err := v.o.basic(r); err != nil {
		return Receipt{}, err
	}
	return v.read(r, body, url)
}

// basic demands a name and password, if they are configured.
func (o ReceiptOptions) basic(r *http.Request) error {
	if o.User == "" && o.Password == "" {
		return nil
	}
	user, password, _ := r.BasicAuth()
	same := subtle.ConstantTimeCompare([]byte(user), []byte(o.User)) & subtle.ConstantTimeCompare([]byte(password), []byte(o.Password))
	if same != 1 {
		return ErrForged
	}
	return nil
}

// fresh reports a time in whole seconds that is one of now.
func (o ReceiptOptions) fresh(seconds string) bool {
	at, ok := unixTime(seconds)
	return ok && o.near(at)
}

func (o ReceiptOptions) near(at time.Time) bool {
	age := o.Now().Sub(at)
	return age <= receiptWindow && age >= -receiptWindow
}

// unixTime reads seconds since 1970, and nothing from after the year 9999.
func unixTime(text string) (time.Time, bool) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds <= 0 || seconds > 253402300799 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0).UTC(), true
}

// moment reads a time in one of some forms; what is in none of them is zero.
func moment(text string, forms ...string) time.Time {
	for _, form := range forms {
		if at, err := time.Parse(form, text); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

// states are the words of a gateway, in lower case.
type states map[string]ReceiptState

func (s states) of(word string) ReceiptState { return s[strings.ToLower(word)] }

// fields reads the parameters of a form, or of a query.
func fields(encoded string) (url.Values, error) {
	v, err := url.ParseQuery(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: its parameters are not encoded as they should be", ErrReceipt)
	}
	return v, nil
}

// once returns a parameter that must not be there twice: two readers could take
// different ones.
func once(v url.Values, name string) (string, error) {
	switch list := v[name]; len(list) {
	case 0:
		return "", nil
	case 1:
		return list[0], nil
	}
	return "", fmt.Errorf("%w: a parameter is there twice", ErrReceipt)
}

// single returns parameters of which none is there twice, and the first has a value.
func single(v url.Values, names ...string) (map[string]string, error) {
	values := map[string]string{}
	for _, name := range names {
		var err error
		if values[name], err = once(v, name); err != nil {
			return nil, err
		}
	}
	if values[names[0]] == "" {
		return nil, ErrReceipt
	}
	return values, nil
}

// shortWord keeps a code if it looks like one.
func shortWord(text string) string {
	if len(text) > 64 {
		return ""
	}
	return clean(text)
}
