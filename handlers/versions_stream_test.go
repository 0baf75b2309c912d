// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"compress/gzip"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// reading is a client's connection that notes what it was sent, and when.
type reading struct {
	http.ResponseWriter
	got    []string
	broken error
}

func (c *reading) WriteHeader(status int) { c.got = append(c.got, strconv.Itoa(status)) }

func (c *reading) Write(p []byte) (int, error) {
	if c.broken != nil {
		return 0, c.broken
	}
	c.got = append(c.got, strconv.Itoa(len(p)))
	return len(p), nil
}

func (c *reading) Flush() { c.got = append(c.got, "flush") }

func newReading(contentType string) *reading {
	c := &reading{ResponseWriter: httptest.NewRecorder()}
	c.Header().Set("Content-Type", contentType)
	return c
}

func (c *reading) wants(t *testing.T, when, want string) {
	t.Helper()
	if got := strings.Join(c.got, " "); got != want {
		t.Errorf("%s: the client has %q, want %q", when, got, want)
	}
}

// TestVersions_WhatIsNotEditedIsNotHeldBack: it goes to the client as it comes.
func TestVersions_WhatIsNotEditedIsNotHeldBack(t *testing.T) {
	c := newReading("text/html")
	v := &versionsRecorder{ResponseWriter: c}
	v.Flush()
	c.wants(t, "before anything", "")
	v.WriteHeader(http.StatusEarlyHints)
	c.wants(t, "after hints", "103")
	v.WriteHeader(http.StatusOK)
	v.WriteHeader(http.StatusNotFound)
	_, err := v.Write([]byte("abc"))
	c.wants(t, "at once", "103 200 3")
	v.Flush()
	c.wants(t, "after a flush", "103 200 3 flush")
	v.finish()
	if c.wants(t, "in the end", "103 200 3 flush"); err != nil || v.Unwrap() != http.ResponseWriter(c) {
		t.Errorf("got %v, and %T behind it", err, v.Unwrap())
	}
}

// TestVersions_WhatMayBeEditedIsHeldBack, until it is too large; what the client cannot
// take is told to who writes it.
func TestVersions_WhatMayBeEditedIsHeldBack(t *testing.T) {
	c := newReading("application/json; charset=utf-8")
	v := &versionsRecorder{ResponseWriter: c}
	for range 2 {
		if n, err := v.Write(make([]byte, maxVersions/2)); n != maxVersions/2 || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	v.Flush()
	c.wants(t, "of the largest", "")
	c.broken = errors.New("gone")
	if _, err := v.Write([]byte("x")); !errors.Is(err, c.broken) {
		t.Errorf("got %v, want %v", err, c.broken)
	}

	c = newReading("application/json")
	v = &versionsRecorder{ResponseWriter: c}
	_, _ = v.Write(make([]byte, maxVersions))
	if n, err := v.Write([]byte("xy")); n != 2 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	v.Flush()
	v.finish()
	c.wants(t, "of one that is too large", "200 "+strconv.Itoa(maxVersions)+" 2 flush")

	c = newReading("application/json")
	v = &versionsRecorder{ResponseWriter: c}
	v.WriteHeader(http.StatusOK)
	v.finish()
	c.wants(t, "of nothing", "200")
}

// TestVersions_WhatCanBeEdited is told by the header alone.
func TestVersions_WhatCanBeEdited(t *testing.T) {
	for _, c := range []struct {
		contentType, encoding, length string
		want                          bool
	}{
		{"application/json", "", "", true},
		{"application/json; charset=utf-8", "", "", true},
		{"application/problem+json", "", "", false},
		{"", "", "", false},
		{"application/json;;", "", "", false},
		{"application/json", "gzip", "", true},
		{"application/json", "GZIP", "", true},
		{"application/json", "identity", "", true},
		{"application/json", "deflate", "", false},
		{"application/json", "", "0", true},
		{"application/json", "", strconv.Itoa(maxVersions), true},
		{"application/json", "", strconv.Itoa(maxVersions + 1), false},
		{"application/json", "", "many", false},
	} {
		v := &versionsRecorder{ResponseWriter: httptest.NewRecorder()}
		for name, value := range map[string]string{"Content-Type": c.contentType, "Content-Encoding": c.encoding, "Content-Length": c.length} {
			if value != "" {
				v.Header().Set(name, value)
			}
		}
		if got := v.editable(); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// TestVersions_WhatIsUnpacked is as large as what is held back, and no larger.
func TestVersions_WhatIsUnpacked(t *testing.T) {
	for size, want := range map[int]int{0: 0, maxVersions: maxVersions, maxVersions + 1: 0} {
		v := &versionsRecorder{ResponseWriter: httptest.NewRecorder()}
		v.Header().Set("Content-Encoding", "GZIP")
		zw := gzip.NewWriter(&v.buf)
		if _, err := zw.Write(make([]byte, size)); errors.Join(err, zw.Close()) != nil {
			t.Fatal(err)
		}
		if got := len(v.plain()); got != want {
			t.Errorf("of %d bytes %d are unpacked, want %d", size, got, want)
		}
	}
	v := &versionsRecorder{ResponseWriter: httptest.NewRecorder()}
	v.buf.WriteString("{}")
	if got := string(v.plain()); got != "{}" {
		t.Errorf("got %s of what is not packed", got)
	}
	v.Header().Set("Content-Encoding", "gzip")
	if got := v.plain(); got != nil {
		t.Errorf("got %s of what is not packed although it says so", got)
	}
}

// TestVersions_ByOtherMethodsOrOfNoUse: nothing is edited that nobody asks for.
func TestVersions_ByOtherMethodsOrOfNoUse(t *testing.T) {
	const body = `{"versions":[]}`
	r := newRig(t, options{next: upstream(200, body)})
	if got := r.do("POST", versionsPath, "").Body.String(); got != body {
		t.Errorf("got %s of a POST, want it unchanged", got)
	}
	for _, path := range []string{versionsPath, "/chat/client/versions"} {
		rec := r.do("HEAD", path, "")
		if wantStatus(t, rec, http.StatusOK); rec.Body.Len() != 0 || rec.Header().Get("Content-Length") != "" {
			t.Errorf("%s: got HEAD answer %v %q", path, rec.Header(), rec.Body)
		}
	}
	r.next = upstream(200, "", "Content-Encoding", "gzip", "Etag", "x", "Last-Modified", "y", "Content-Length", "7", "X-Own", "1")
	h := r.do("HEAD", versionsPath, "").Header()
	for _, name := range []string{"Content-Encoding", "Etag", "Last-Modified", "Content-Length"} {
		if h.Get(name) != "" || h.Get("X-Own") == "" {
			t.Errorf("%s is that of another body: %v", name, h)
		}
	}
}

// TestVersions_UnderAnotherPrefix: the homeserver is asked under its own first, and under
// the other one if it does not answer there; what it answers is the client's.
func TestVersions_UnderAnotherPrefix(t *testing.T) {
	for name, c := range map[string]struct {
		own    wire.Next
		status int
		asked  int
	}{
		"known":    {upstream(200, `{"versions":["own"]}`, "X-Own", "1"), 200, 1},
		"failing":  {upstream(500, `{"errcode":"M_UNKNOWN"}`, "X-Own", "1"), 500, 1},
		"unknown":  {upstream(404, `{"errcode":"M_UNRECOGNIZED"}`), 200, 2},
		"not here": {func(http.ResponseWriter, *http.Request) error { return wire.ErrNoAnswer }, 200, 2},
	} {
		asked := 0
		r := newRig(t, options{next: func(w http.ResponseWriter, req *http.Request) error {
			asked++
			if req.URL.Path == versionsPath {
				return c.own(w, req)
			}
			return upstream(200, `{"versions":["other"]}`)(w, req)
		}})
		rec := r.do("GET", "/chat/client/versions", "")
		if rec.Code != c.status || asked != c.asked || (rec.Header().Get("X-Own") == "") != (c.asked == 2) {
			t.Errorf("%s: got %d %v %s after %d questions", name, rec.Code, rec.Header(), rec.Body, asked)
		}
		asked = 0
		if rec := httptest.NewRecorder(); r.client.ServeHTTP(rec, mustRequest(t, "GET", versionsPath), r.next) == nil && rec.Code == http.StatusOK && name == "unknown" || asked != 1 {
			t.Errorf("%s: got %d after %d questions under its own prefix, want one", name, rec.Code, asked)
		}
	}
}
