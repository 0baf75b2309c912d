// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
)

// HTTP is a gateway that takes a message by one HTTP request.
type HTTP struct {
	cfg       HTTPConfig
	request   *described
	answers   *verdicts
	transport *http.Transport
}

var _ Gateway = (*HTTP)(nil)

// NewHTTP makes a gateway. Nothing is connected to before the first message.
func NewHTTP(cfg HTTPConfig) (*HTTP, error) {
	if cfg.Timeout < 0 {
		return nil, errors.New("timeout: must be a positive duration like 15s")
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, DefaultHTTPTimeout)
	if cfg.UnicodeWord == "" && cfg.PlainWord == "" {
		cfg.UnicodeWord, cfg.PlainWord = "true", "false"
	}
	d, err := describe(cfg)
	if err != nil {
		return nil, err
	}
	v, err := newVerdicts(cfg)
	if err != nil {
		return nil, err
	}
	return &HTTP{cfg: cfg, request: d, answers: v, transport: newTransport(cfg, d.url.scheme)}, nil
}

func (h *HTTP) Send(ctx context.Context, m Message) (Accepted, error) {
	accepted, failed := h.send(ctx, m)
	if failed != nil {
		return Accepted{}, failed
	}
	return accepted, nil
}

// send tries once more where a connection turns out to be closed that had been
// kept from an earlier message, and nothing of this one was written to it.
func (h *HTTP) send(ctx context.Context, m Message) (Accepted, *SendError) {
	within, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	v := valuesOf(m, h.cfg.UnicodeWord, h.cfg.PlainWord)
	for again := true; ; again = false {
		w := &witness{}
		r, err := h.request.request(httptrace.WithClientTrace(within, w.trace()), v)
		if err != nil {
			return Accepted{}, &SendError{Reason: ReasonRejected, Err: err}
		}
		a, err := h.exchange(r)
		switch {
		case err == nil:
			return h.answers.judge(a)
		case again && w.reused.Load() && !w.sent() && within.Err() == nil:
			continue
		}
		return Accepted{}, lost(ctx, within, err, w)
	}
}

// answer is a whole answer, or the beginning of one that is too large.
type answer struct {
	status int
	header http.Header
	body   []byte
	tooBig bool
}

// exchange sends a request, and reads the answer.
func (h *HTTP) exchange(r *http.Request) (*answer, error) {
	// The transport itself, since a client would follow redirects, keep cookies
	// and write the URL into its errors.
	resp, err := h.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 {
		return nil, errGarbled
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	return &answer{
		status: resp.StatusCode, header: resp.Header, body: body, tooBig: len(body) > maxAnswer,
	}, nil
}

// Close closes the connections that are kept for later messages.
func (h *HTTP) Close() error {
	h.transport.CloseIdleConnections()
	return nil
}
