// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// text is a JSON string. A number is taken by its digits, because services
// write ids and codes now as the one and now as the other; anything else is
// taken for absent rather than for a reason to lose the whole report.
type text string

func (t *text) UnmarshalJSON(raw []byte) error {
	*t = ""
	switch {
	case raw[0] == '"':
		return json.Unmarshal(raw, (*string)(t))
	case raw[0] <= '9': // a minus or a digit: all else begins with a letter or a bracket
		*t = text(raw)
	}
	return nil
}

// object is a JSON object of texts; anything else is taken for an empty one.
type object map[string]text

func (o *object) UnmarshalJSON(raw []byte) error {
	*o = nil
	if raw[0] != '{' {
		return nil
	}
	return json.Unmarshal(raw, (*map[string]text)(o))
}

// tag returns our tag among the data that a service hands back.
func (o object) tag() string { return validTag(string(o[feedback.TagField])) }

func validTag(s string) string {
	if !feedback.ValidTag(s) {
		return ""
	}
	return s
}

// stamp reads a time of RFC 3339; one that is none is the zero time.
func stamp(s text) time.Time {
	at, err := time.Parse(time.RFC3339Nano, string(s))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// unix reads seconds since 1970, with or without a fraction.
func unix(s text) time.Time {
	seconds, err := strconv.ParseFloat(string(s), 64)
	const year3000 = 32503680000
	if err != nil || math.IsNaN(seconds) || seconds <= 0 || seconds > year3000 {
		return time.Time{}
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(math.Round(fraction*1e6))*1000).UTC()
}

// wholeSeconds reads the time in a signature: digits only, or a signature
// over other bytes than those that were judged could pass.
func wholeSeconds(s string) (time.Time, bool) {
	if s == "" || len(s) > 11 || strings.Trim(s, "0123456789") != "" {
		return time.Time{}, false
	}
	n, _ := strconv.ParseInt(s, 10, 64) // so few digits are a number
	return time.Unix(n, 0).UTC(), true
}

// decode reads a body that was found genuine.
func decode(body []byte, v any) error {
	if json.Unmarshal(body, v) != nil {
		return errMalformed // the decoder's own text may quote the body
	}
	return nil
}
