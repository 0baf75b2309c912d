// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ReceiptConfig describes the receipts of a gateway that is no preset.
type ReceiptConfig struct {
	// State says where the state is.
	State Place
	// Arrived and Undelivered are the words for these states. Any other means
	// that nothing is known.
	Arrived, Undelivered []string
	// SignatureHeader, if set, holds the HMAC-SHA256 of the body by Secret, in
	// hexadecimal digits or Base64, with or without "sha256=" before it. Then
	// nothing is read from the query.
	SignatureHeader string
}

// Place is a parameter of the query or of a form, or a JSON pointer (RFC 6901)
// into the body. One of them is set.
type Place struct {
	Parameter, Pointer string
}

// customReceipts reads receipts as they were described.
type customReceipts struct {
	o       ReceiptOptions
	cfg     ReceiptConfig
	pointer pointer // to the state
	states  map[string]ReceiptState
}

// NewReceipts makes a reader for receipts that are described.
func NewReceipts(cfg ReceiptConfig, o ReceiptOptions) (ReceiptReader, error) {
	c := &customReceipts{o: o.withDefaults(), cfg: cfg, states: map[string]ReceiptState{}}
	if o.Secret != "" && cfg.SignatureHeader == "" {
		return nil, errors.New("secret: needs the header with the signature; write: signature_header <name>")
	}
	if o.Secret == "" && cfg.SignatureHeader != "" {
		return nil, errors.New("signature_header: needs what receipts are signed with; write: secret <secret>")
	}
	if cfg.State == (Place{}) || len(cfg.Arrived) == 0 {
		return nil, errors.New("arrived: is required; write: receipts json <pointer> { arrived <word...> }")
	}
	if cfg.State.Parameter != "" && cfg.State.Pointer != "" {
		return nil, errors.New("is at two places: a parameter and a JSON pointer")
	}
	var err error
	if c.pointer, err = parsePointer(cfg.State.Pointer); err != nil {
		return nil, err
	}
	for state, words := range map[ReceiptState][]string{Arrived: cfg.Arrived, Undelivered: cfg.Undelivered} {
		for _, word := range words {
			if _, twice := c.states[word]; twice {
				return nil, fmt.Errorf("undelivered %s: the word is in arrived, too", word)
			}
			c.states[word] = state
		}
	}
	return receiptReader{c.o, c.read}, nil
}

func (c *customReceipts) read(r *http.Request, body []byte, _ string) (Receipt, error) {
	if c.o.Secret != "" && !c.signed(r.Header.Get(c.cfg.SignatureHeader), body) {
		return Receipt{}, ErrForged
	}
	parameters := url.Values{}
	var err error
	if c.o.Secret == "" { // the signature is about the body only
		if parameters, err = fields(r.URL.RawQuery); err != nil {
			return Receipt{}, err
		}
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := fields(string(body))
		if err != nil {
			return Receipt{}, err
		}
		for name, list := range form {
			parameters[name] = append(parameters[name], list...)
		}
	}
	word, err := c.state(parameters, body)
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{State: c.states[word]}, nil
}

// state finds the gateway's word for it.
func (c *customReceipts) state(parameters url.Values, body []byte) (string, error) {
	if c.cfg.State.Parameter != "" {
		values, err := single(parameters, c.cfg.State.Parameter)
		return values[c.cfg.State.Parameter], err
	}
	document, _ := decode(body)
	if word, _ := c.pointer.text(document); word != "" {
		return word, nil
	}
	return "", ErrReceipt
}

// signed verifies the MAC over the body. That of no body says nothing.
func (c *customReceipts) signed(signature string, body []byte) bool {
	signature = strings.TrimPrefix(signature, "sha256=")
	given, err := hex.DecodeString(signature)
	if err != nil {
		if given, err = base64.StdEncoding.DecodeString(signature); err != nil {
			return false
		}
	}
	mac := hmac.New(sha256.New, []byte(c.o.Secret))
	mac.Write(body)
	return len(body) > 0 && hmac.Equal(given, mac.Sum(nil))
}
