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
	// Name is that of the gateway in errors.
	Name string
	// Account and Secret are what the vendor calls them: see each preset.
	Account, Secret string
	// URL replaces the beginning of the vendor's URL: another region, or a test.
	URL string
	// Extra are further options of the preset.
	Extra map[string]string
}

// Presets describe the requests of vendors, by the names under which operators
// know them.
var Presets = map[string]func(PresetOptions) (HTTPConfig, error){
	"twilio":  Twilio,
	"vonage":  Vonage,
	"infobip": Infobip,
	"bird":    Bird,
	"sinch":   Sinch,
	"kannel":  Kannel,
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
