// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"errors"
	"net/url"
	"strings"
)

// errValue is why a request cannot be made of a message: something in it cannot
// stand where the configuration puts it.
var errValue = errors.New("a value of the message cannot stand where the request wants it")

// parameter is one of a query.
type parameter struct {
	name  string // escaped
	value template
}

// urlTemplate is a URL with placeholders in its path and its query.
type urlTemplate struct {
	scheme string
	origin string // with the scheme
	path   template
	query  []parameter
}

// parseURL takes a URL apart. Its errors do not repeat it, as it may hold a
// secret.
func parseURL(text string) (*urlTemplate, error) {
	whole, err := parseTemplate(text)
	if err != nil {
		return nil, err
	}
	// With something harmless in place of the placeholders it must be a URL.
	u, err := url.Parse(whole.expand(nil, func(string) string { return "x" }))
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("must begin with https://, or with http:// for this machine")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("names no host")
	case u.User != nil:
		return nil, errors.New("holds a name or password; write them as basic_auth")
	case strings.Contains(text, "#"):
		return nil, errors.New("has a fragment, which is never sent")
	}
	out := &urlTemplate{scheme: u.Scheme, origin: u.Scheme + "://" + u.Host}
	rest := text[len(u.Scheme)+len("://"):]
	authority := len(rest)
	if at := strings.IndexAny(rest, "/?"); at != -1 {
		authority = at
	}
	if strings.ContainsAny(rest[:authority], "{}") {
		return nil, errors.New("its host is to be fixed, without placeholders")
	}
	path, query, _ := strings.Cut(rest[authority:], "?")
	out.path, _ = parseTemplate(path) // as the whole is a template, so are its parts
	// What is not written as URLs are would have the whole path, values included,
	// read and escaped anew; a slash in a value would be one of the path then.
	if u.EscapedPath() != out.path.expand(nil, func(string) string { return "x" }) {
		return nil, errors.New("its path has a character that is to be written as %XX")
	}
	if dotted(u.EscapedPath()) {
		return nil, errors.New("its path leads upwards")
	}
	out.query, err = parseQuery(query)
	return out, err
}

func parseQuery(query string) ([]parameter, error) {
	var out []parameter
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		if strings.ContainsAny(name, "{}") {
			return nil, errors.New("a parameter of its query is named by a placeholder")
		}
		t, _ := parseTemplate(value)
		out = append(out, parameter{name: name, value: t})
	}
	return out, nil
}

// expand makes the URL for one message. More are further parameters.
func (u *urlTemplate) expand(v values, more []parameter) (*url.URL, error) {
	path := u.path.expand(v, url.PathEscape)
	if dotted(path) {
		return nil, errValue
	}
	for _, p := range u.path {
		if p.name != "" && v[p.name] == "" {
			return nil, errValue
		}
	}
	var query []string
	for _, p := range u.query {
		if !p.value.omitted(v) {
			query = append(query, p.name+"="+p.value.expand(v, url.QueryEscape))
		}
	}
	for _, p := range more {
		if !p.value.omitted(v) {
			query = append(query, p.name+"="+url.QueryEscape(p.value.plain(v)))
		}
	}
	text := u.origin + path
	if len(query) > 0 {
		text += "?" + strings.Join(query, "&")
	}
	out, err := url.Parse(text)
	if err != nil {
		return nil, errValue // its text repeats the URL
	}
	return out, nil
}

// dotted reports a path with a segment that servers take for a step upwards.
func dotted(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		plain, _ := url.PathUnescape(segment)
		if plain == "." || plain == ".." {
			return true
		}
	}
	return false
}
