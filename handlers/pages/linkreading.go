// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// A link that was copied out of a mail may have been changed on the way: escaped
// once more, broken into lines, put between quotes, followed by a full stop. This
// file undoes that where it can be undone in one way only. What was meant is known
// by its form: a sid has a tag that only we can make, a token and a refusal are 32
// bytes in base64, a code is six digits. All of them are compared as exactly as ever
// afterwards. A link that stays in doubt loses its parameters, and its page says what
// to do.

// Mend returns what is meant by a link that is not one of ours as it stands, or
// nil if there is nothing to mend. Owns tells the sids that were made here.
func Mend(u *url.URL, owns func(threepid.SID) bool) *url.URL {
	text := PlainText(u)
	path, ok := PageOf(text)
	if !ok {
		return nil
	}
	strict, readable := strictly(u)
	exact := readable && exactly(strict, owns)
	switch {
	case exact && path == u.EscapedPath():
		return nil
	case exact: // only the path is odd
		return &url.URL{Path: path, RawQuery: u.RawQuery}
	}
	return &url.URL{Path: path, RawQuery: readParameters(text, strict, owns).Encode()}
}

// strictly reads a query as browsers write it.
func strictly(u *url.URL) (values url.Values, readable bool) {
	values, err := url.ParseQuery(u.RawQuery)
	return values, err == nil && !strings.Contains(u.RawQuery, ";")
}

// parameters are those of our links, and how each is known.
var parameters = []struct {
	name string
	form *regexp.Regexp // nil: by whether we made it
}{
	{"sid", nil},
	{"token", regexp.MustCompile(`^(?:[0-9A-Za-z_-]{42}[048AEIMQUYcgkosw]|[0-9]{6})$`)},
	{"refusal", secretForm},
	{"help", regexp.MustCompile(`^1$`)},
	{"client_secret", opaque},
	{SeenField, opaque},
}

// secretForm is that of 32 bytes in base64: the last digit stands for four bits.
var secretForm = regexp.MustCompile(`^[0-9A-Za-z_-]{42}[048AEIMQUYcgkosw]$`)

// opaque is what the specification lets a client_secret be. What has no form of its
// own cannot be told from what was added to it.
var opaque = regexp.MustCompile(`^[0-9a-zA-Z.=_-]{1,255}$`)

// parameter is how a parameter stands in a text.
var parameter = regexp.MustCompile(`(?i)(?:^|[^0-9a-z_-])(sid|token|refusal|help|client_secret|` + SeenField + `)\s*=`)

// maxParameters bounds how many of them are looked at: a link has three.
const maxParameters = 16

// exactly reports whether there is a sid, and every parameter of ours is there once
// and as we wrote it.
func exactly(values url.Values, owns func(threepid.SID) bool) bool {
	for name := range values {
		if odd := parameter.FindStringSubmatch(dropInvisible(name) + "="); odd != nil && strings.ToLower(odd[1]) != name {
			return false // one of ours, with something added to its name
		}
	}
	for _, p := range parameters {
		list := values[p.name]
		switch {
		case len(list) > 1:
			return false
		case p.form == nil && (len(list) == 0 || !owns(threepid.SID(list[0]))):
			return false
		case p.form != nil && p.form != opaque && len(list) == 1 && !p.form.MatchString(list[0]):
			return false
		}
	}
	return true
}

// PlainText is a link from its path on, without the percent signs and the names of
// HTML that it was escaped with, each up to three times.
func PlainText(u *url.URL) string {
	text := u.EscapedPath()
	if u.RawQuery != "" {
		text += "?" + strings.ReplaceAll(u.RawQuery, "+", " ")
	}
	if len(text) > MaxLink+route.MaxOddPath {
		return ""
	}
	for range 3 {
		text = html.UnescapeString(route.DecodeOnce(text))
	}
	return quotedSeparator.ReplaceAllString(strings.ToValidUTF8(text, " "), "&$1=")
}

// quotedSeparator stands before a parameter where a mail's own encoding was not
// undone (RFC 2045, quoted-printable).
var quotedSeparator = regexp.MustCompile(`(?i)=(?:3f|26)(sid|token|refusal|help|client_secret)=`)

// pageForms are the paths of links, however they are spelled. What follows them may
// not belong to their last word.
var pageForms = []struct {
	path string
	form *regexp.Regexp
}{
	{route.PagePath(threepid.Email), pageForm(`validate[/\\]+email[/\\]+submittoken`)},
	{route.PagePath(threepid.MSISDN), pageForm(`validate[/\\]+msisdn[/\\]+submittoken`)},
	{route.RefusePath, pageForm(`refuse`)},
}

func pageForm(tail string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^[^0-9a-z]*_threepid[/\\]+` + tail + `(?:$|[^0-9a-z_-]|[_-]+(?:$|[^0-9a-z_-]))`)
}

// PageOf is the path of a link as we write it.
func PageOf(text string) (path string, ok bool) {
	text = dropInvisible(text)
	for _, page := range pageForms {
		if page.form.MatchString(text) {
			return page.path, true
		}
	}
	return "", false
}

// dropInvisible removes blanks, line breaks, and signs of format and control.
func dropInvisible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text)
}

// readParameters finds what is meant in a text. A blank in it is where a line was
// broken, or else where the link ends: it is read in both ways. What cannot be read
// stays as it stands, for it may be a code that somebody has written.
func readParameters(text string, strict url.Values, owns func(threepid.SID) bool) url.Values {
	meant := url.Values{}
	read := append(settingsIn(text), settingsIn(dropInvisible(text))...)
	for _, p := range parameters {
		if v := strict.Get(p.name); v != "" {
			meant.Set(p.name, v)
		}
		form := func(text string) bool { return owns(threepid.SID(text)) }
		if p.form != nil {
			form = p.form.MatchString
		}
		switch found := valuesOf(p.name, form, read); {
		case len(found) == 1:
			meant.Set(p.name, found[0])
		case len(found) > 1:
			return nil
		}
	}
	return meant
}

// setting is a parameter as it stands in a text.
type setting struct{ name, value string }

// settingsIn finds the parameters in a text. It is the dear part of reading a link, and
// done once for all of them.
func settingsIn(text string) (found []setting) {
	for _, place := range parameter.FindAllStringSubmatchIndex(text, maxParameters) {
		value := text[place[1]:]
		if end := strings.IndexAny(value, "&?#;"); end >= 0 {
			value = value[:end]
		}
		found = append(found, setting{text[place[2]:place[3]], value})
	}
	return found
}

// valuesOf are the different values of a parameter that have its form.
func valuesOf(name string, form func(string) bool, read []setting) (found []string) {
	for _, w := range read {
		if !strings.EqualFold(w.name, name) {
			continue
		}
		for _, one := range valueReadings(w.value) {
			if form(one) && !slices.Contains(found, one) {
				found = append(found, one)
			}
		}
	}
	return found
}

// valueReadings are what may be meant by a value: all of it, its first run of our
// signs, or all of them; each without what quoted-printable leaves, or with what
// mail programs cut off or add at the ends.
func valueReadings(value string) []string {
	run := strings.TrimLeftFunc(value, foreign)
	if end := strings.IndexFunc(run, foreign); end >= 0 {
		run = run[:end]
	}
	all := []string{value, run, strings.Map(func(r rune) rune {
		if foreign(r) {
			return -1
		}
		return r
	}, value)}
	for _, one := range slices.Clone(all) {
		if len(one) > 2 && strings.EqualFold(one[:2], "3D") {
			all = append(all, one[2:])
		}
	}
	for _, one := range slices.Clone(all) {
		all = append(all, trimmed(one)...)
		all = append(all, completed(one)...)
	}
	return all
}

// foreign reports a sign that is in none of our values.
func foreign(r rune) bool {
	return r != '-' && r != '_' && !letterOrDigit(r)
}

// trimmed are a value without one or more signs of ours at its ends that are marks
// of emphasis to others.
func trimmed(value string) (all []string) {
	for left := 0; left <= 3 && left <= len(value) && strings.Trim(value[:left], "_-") == ""; left++ {
		for right := len(value); right >= left && len(value)-right <= 3 && strings.Trim(value[right:], "_-") == ""; right-- {
			all = append(all, value[left:right])
		}
	}
	return all
}

// SIDLength is how long a sid is.
const SIDLength = 32

// completed are a sid with the signs that mail programs have cut off its end: links
// of before ended in one.
func completed(value string) (all []string) {
	if missing := SIDLength - len(value); missing == 1 || missing == 2 {
		for _, a := range []string{"-", "_"} {
			all = append(all, value+a)
			for _, b := range []string{"-", "_"} {
				all = append(all, value+a+b)
			}
		}
	}
	return all
}

// MaxLink bounds the query of a link, in bytes. Ours have less than 200; what
// programs that count clicks add is less than one kilobyte.
const MaxLink = 8 << 10
