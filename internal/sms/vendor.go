// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// PresetOptions are what a preset needs to know.
type PresetOptions struct {
	// Account and Secret are what the vendor calls them: see each preset.
	Account, Secret string
	// URL replaces the beginning of the vendor's URL: another region, or a test.
	URL string
	// Extra are further options of the preset.
	Extra map[string]string
}

// Vendor is a gateway whose requests, answers and receipts are known. Each is declared
// in a file of its own, which is all that there is of it.
type Vendor struct {
	Quirks
	// Request describes how a message is handed over, and what the answer means.
	Request func(PresetOptions) (HTTPConfig, error)
	// Receipts makes a reader of what the vendor reports.
	Receipts func(ReceiptOptions) (ReceiptReader, error)
}

// Quirks are what is only so with some vendors.
type Quirks struct {
	// MaxReceiptURL is how long a receipt URL may be; zero means any length.
	MaxReceiptURL int
	// ReceiptSecret, if set, is what receipts are signed with unless it is configured.
	ReceiptSecret func(PresetOptions) string
}

// Vendors are all, by the names under which operators know them.
var Vendors = map[string]Vendor{}

// declare adds a vendor. Receipts are read by a function that is made once; whether
// somebody may report at all is known before it is asked.
func declare(name string, request func(PresetOptions) (HTTPConfig, error), receipts func(ReceiptOptions) (receiptFunc, error), q Quirks) Vendor {
	v := Vendor{Quirks: q, Request: request, Receipts: func(o ReceiptOptions) (ReceiptReader, error) {
		o = o.withDefaults()
		read, err := receipts(o)
		if errors.Is(err, errUnsigned) {
			err = fmt.Errorf("secret: %s %w", name, err)
		}
		if err != nil {
			return nil, err
		}
		return receiptReader{o, read}, nil
	}}
	if _, twice := Vendors[name]; twice {
		panic("vendor " + name + " is there twice")
	}
	Vendors[name] = v
	return v
}

var errUnsigned = errors.New("signs nothing; leave it out, or write basic_auth")

// unsigned is for a vendor that does not sign its receipts: that the URL is known has
// to do, unless a name and password are demanded.
func unsigned(read receiptFunc) func(ReceiptOptions) (receiptFunc, error) {
	return func(o ReceiptOptions) (receiptFunc, error) {
		if o.Secret != "" {
			return nil, errUnsigned
		}
		return read, nil
	}
}

// requirement is what an option must be like. What it says of the option ends
// up in an error.
type requirement struct {
	option, value string
	form          *regexp.Regexp
	is            string
}

// plainWord is what can stand in the path of a URL as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// check goes through what a preset requires, and refuses what it does not know.
func (o PresetOptions) check(extra []string, required ...requirement) error {
	for _, r := range required {
		switch {
		case r.value == "":
			return fmt.Errorf("%s: is required: %s", r.option, r.is)
		case r.form != nil && !r.form.MatchString(r.value):
			return fmt.Errorf("%s: must be %s", r.option, r.is)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Extra)) {
		if !slices.Contains(extra, name) {
			known := "this gateway has none"
			if len(extra) > 0 {
				known = "there are " + strings.Join(extra, ", ")
			}
			return fmt.Errorf("option %s: there is none of this name; %s", name, known)
		}
	}
	return nil
}

// noAccount is for vendors that know a key and nothing else.
func (o PresetOptions) noAccount() error {
	if o.Account != "" {
		return errors.New("account: the secret is all that this gateway knows; leave it out")
	}
	return nil
}

// base is the beginning of the URL.
func (o PresetOptions) base(preset string) string {
	return strings.TrimRight(cmp.Or(o.URL, preset), "/")
}

// refuse is the refusal by an answer with certain values at a place.
func refuse(pointer, reason string, values ...string) Refusal {
	return Refusal{Match: Match{Pointer: pointer, Values: values}, Reason: reason}
}
