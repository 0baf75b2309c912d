// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// features are what we add to the homeserver's unstable_features. All clients
// of before r0.6 go by them, and none by what a homeserver of then can do.
var features = map[string]bool{
	// Inverted: absent means true (MSC2263).
	"m.require_identity_server": false,
	// /account/3pid/add and /bind are served (MSC2290).
	"m.separate_add_and_bind": true,
	// id_access_token is accepted wherever id_server is (MSC2140).
	"m.id_access_token": true,
}

// editVersions sets the flags in a /versions answer and leaves every other
// member as it was. It reports false when the answer is not one it can edit.
func editVersions(raw []byte) ([]byte, bool) {
	body, err := wire.ParseAnswer(raw)
	if err != nil {
		return nil, false
	}
	unstable := wire.Object{}
	if !body.Null("unstable_features") {
		if json.Unmarshal(body["unstable_features"], &unstable) != nil {
			return nil, false
		}
	}
	for name, value := range features {
		unstable[name] = wire.Encoded(value)
	}
	body["unstable_features"] = wire.Encoded(unstable)
	return body.Encode(), true
}

// versions serves /versions: the homeserver's answer with our flag in it. If
// the answer is anything but an ordinary one it goes to the client untouched.
func (c *Client) versions(call *wire.Call) error {
	if (call.R.Method != http.MethodGet && call.R.Method != http.MethodHead) || c.cfg.idle() {
		return call.Next(call.W, call.R)
	}
	if call.Route.Prefix != c.cfg.UpstreamPrefix {
		// A prefix that the homeserver may not know. Ask under its own first.
		answer, err := call.Exchange(c.hs.Path(call.Route), nil)
		if err == nil && answer.Status != http.StatusNotFound {
			c.respondVersions(call, answer)
			return nil
		}
	}
	saved := call.R.Header
	defer func() { call.R.Header = saved }()
	call.R.Header = saved.Clone()
	for _, h := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"} {
		call.R.Header.Del(h)
	}
	call.R.Header.Set("Accept-Encoding", "identity")
	rec := &versionsRecorder{ResponseWriter: call.W, head: call.R.Method == http.MethodHead}
	if err := call.Next(rec, call.R); err != nil {
		return err
	}
	rec.finish()
	return nil
}

func (c *Client) respondVersions(call *wire.Call, answer *wire.Answer) {
	rec := &versionsRecorder{ResponseWriter: call.W, head: call.R.Method == http.MethodHead}
	maps.Copy(call.W.Header(), answer.Header())
	rec.WriteHeader(answer.Status)
	_, _ = rec.Write(answer.Body.Bytes()) // the client may be gone
	rec.finish()
}

// maxVersions bounds an answer that is held back for editing, in bytes.
const maxVersions = 256 << 10

// versionsRecorder holds back an answer that can be edited, and streams every
// other one. It shares the header with the real writer, so that header
// directives of the server around us work as always.
type versionsRecorder struct {
	http.ResponseWriter
	head    bool
	status  int
	holding bool
	buf     bytes.Buffer
}

// Unwrap lets http.ResponseController reach the real writer.
func (v *versionsRecorder) Unwrap() http.ResponseWriter { return v.ResponseWriter }

func (v *versionsRecorder) WriteHeader(status int) {
	if status < 200 {
		v.ResponseWriter.WriteHeader(status)
		return
	}
	if v.status != 0 {
		return
	}
	v.status = status
	v.holding = status == http.StatusOK && v.editable()
	if !v.holding {
		v.ResponseWriter.WriteHeader(status)
	}
}

// editable decides by the header alone.
func (v *versionsRecorder) editable() bool {
	h := v.Header()
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return false
	}
	switch strings.ToLower(h.Get("Content-Encoding")) {
	case "", "identity", "gzip":
	default:
		return false
	}
	length := h.Get("Content-Length")
	if length == "" {
		return true
	}
	n, err := strconv.ParseInt(length, 10, 64)
	return err == nil && n <= maxVersions
}

func (v *versionsRecorder) Write(p []byte) (int, error) {
	v.WriteHeader(http.StatusOK)
	if !v.holding {
		return v.ResponseWriter.Write(p)
	}
	if v.buf.Len()+len(p) <= maxVersions {
		return v.buf.Write(p)
	}
	if err := v.release(v.buf.Bytes()); err != nil {
		return 0, err
	}
	return v.ResponseWriter.Write(p)
}

// Flush implements http.Flusher: what is held back is not flushed.
func (v *versionsRecorder) Flush() {
	if v.status != 0 && !v.holding {
		_ = http.NewResponseController(v.ResponseWriter).Flush() // not every writer can
	}
}

// release ends the holding back and writes what there is.
func (v *versionsRecorder) release(body []byte) error {
	v.holding = false
	v.ResponseWriter.WriteHeader(v.status)
	if len(body) == 0 {
		return nil
	}
	_, err := v.ResponseWriter.Write(body)
	return err
}

// finish sends an answer that was held back, edited if it can be. The
// validators of the original do not describe the edited one.
func (v *versionsRecorder) finish() {
	if !v.holding {
		return
	}
	h := v.Header()
	body := v.buf.Bytes()
	edited, ok := editVersions(v.plain())
	switch {
	case v.head:
		h.Del("Content-Encoding")
		h.Del("Content-Length") // of a body that we have not seen
		stripValidators(h)
	case ok:
		body = edited
		h.Del("Content-Encoding")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		stripValidators(h)
		wire.EnsureCORS(h)
	}
	_ = v.release(body) // the client may be gone
}

// plain returns the body that was held back, unpacked: some servers compress
// although they were asked not to. What cannot be unpacked is not edited.
func (v *versionsRecorder) plain() []byte {
	if !strings.EqualFold(v.Header().Get("Content-Encoding"), "gzip") {
		return v.buf.Bytes()
	}
	unpacker, err := gzip.NewReader(bytes.NewReader(v.buf.Bytes()))
	if err != nil {
		return nil
	}
	raw, err := io.ReadAll(io.LimitReader(unpacker, maxVersions+1))
	if err != nil || len(raw) > maxVersions {
		return nil
	}
	return raw
}

func stripValidators(h http.Header) {
	h.Del("Etag")
	h.Del("Last-Modified")
	h.Del("Accept-Ranges")
}
