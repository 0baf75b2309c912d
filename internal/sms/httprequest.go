// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// userAgent says who calls, and nothing about versions.
const userAgent = "caddy-threepid"

// request makes the request for one message.
func (d *described) request(ctx context.Context, v values) (*http.Request, error) {
	u, err := d.url.expand(v, d.query)
	if err != nil {
		return nil, err
	}
	body := d.body(v)
	r := (&http.Request{Method: d.method, URL: u, Host: u.Host, Header: http.Header{}}).WithContext(ctx)
	r.Header.Set("User-Agent", userAgent)
	if d.contentType != "" {
		r.Header.Set("Content-Type", d.contentType)
	}
	if d.authorization != "" {
		r.Header.Set("Authorization", d.authorization)
	}
	for i, h := range d.headers {
		value := h.value.plain(v)
		switch {
		case h.value.omitted(v):
			continue
		case hasControls(value):
			return nil, errValue
		case i > 0 && d.headers[i-1].name == h.name:
			r.Header.Add(h.name, value)
		default:
			r.Header.Set(h.name, value)
		}
	}
	// net/http sends a request again by itself if its connection is lost and it
	// looks repeatable; a message that was sent twice is paid twice. It lets be
	// what has a body that it cannot rewind.
	switch {
	case body != nil:
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	case d.method == http.MethodGet:
		r.Body = io.NopCloser(strings.NewReader(""))
	}
	return r, nil
}

// body makes the body for one message, or nil.
func (d *described) body(v values) []byte {
	switch {
	case d.form != nil:
		fields := make([]string, 0, len(d.form))
		for _, f := range d.form {
			if !f.value.omitted(v) {
				fields = append(fields, f.name+"="+url.QueryEscape(f.value.plain(v)))
			}
		}
		return []byte(strings.Join(fields, "&"))
	case d.document != nil:
		return d.document.expand(v)
	case d.text != nil:
		return []byte(d.text.plain(v))
	}
	return nil
}
