// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"
)

// maxAnswer is how much of an answer is read, in bytes: whoever answers may be
// anybody.
const maxAnswer = 64 << 10

// web asks questions over HTTP, and notes what time the others think it is.
type web struct {
	// transport is used without the client around it, which follows redirects:
	// where one leads is a finding.
	transport http.RoundTripper
	now       func() time.Time

	mu    sync.Mutex
	dates []observed
}

// observed is the time of another machine.
type observed struct {
	host string
	// skew is by how much its clock is ahead of ours at least, or, if negative,
	// behind.
	skew time.Duration
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func newWeb(o Options) *web {
	w := &web{now: o.Now}
	switch {
	case o.Client == nil:
		w.transport = &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxAnswer}
	case o.Client.Transport == nil:
		w.transport = http.DefaultTransport
	default:
		w.transport = o.Client.Transport
	}
	return w
}

// get asks for a URL of ours.
func (w *web) get(ctx context.Context, url string) (*answer, error) {
	return w.ask(ctx, http.MethodGet, url, nil)
}

// post sends JSON.
func (w *web) post(ctx context.Context, url string, body any) (*answer, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode body: %w", err)
	}
	return w.ask(ctx, http.MethodPost, url, raw)
}

func (w *web) ask(ctx context.Context, method, url string, body []byte) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("User-Agent", "caddy-threepid-doctor")
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	sent := w.now()
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	w.observe(req.URL.Host, resp.Header, sent, w.now())
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	return &answer{resp.StatusCode, resp.Header, raw}, nil
}

// observe notes the Date of an answer (RFC 9110 §6.6.1). It is cut to the
// second, and was taken at any time between question and answer: only what lies
// outside of that is skew.
func (w *web) observe(host string, h http.Header, sent, received time.Time) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	var skew time.Duration
	switch {
	case date.After(received):
		skew = date.Sub(received)
	case date.Add(time.Second).Before(sent):
		skew = date.Add(time.Second).Sub(sent)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dates = append(w.dates, observed{host, skew})
}

// object decodes an answer in JSON; false if it is none.
func (a *answer) object(into any) bool {
	mediaType, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	return err == nil && mediaType == "application/json" && json.Unmarshal(a.body, into) == nil
}

// gatewayError reports that a proxy answered for somebody it did not reach.
func (a *answer) gatewayError() bool {
	return a.status == http.StatusBadGateway || a.status == http.StatusServiceUnavailable || a.status == http.StatusGatewayTimeout
}

// redirect reports where an answer leads to.
func (a *answer) redirect() (string, bool) {
	to := a.header.Get("Location")
	return to, a.status >= 300 && a.status < 400 && to != ""
}

// kind names the sort of an answer for a sentence.
func (a *answer) kind() string {
	mediaType, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		mediaType = "no content type"
	}
	return fmt.Sprintf("status %d, %s", a.status, mediaType)
}

// matrixError is the standard error response (CS API, "Standard error
// response").
type matrixError struct {
	Errcode string `json:"errcode"`
	Error   string `json:"error"`
}
