// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// hurried is a connection that notes until when it may be read; zero is for ever.
type hurried struct {
	*httptest.ResponseRecorder
	until []time.Duration
}

func (h *hurried) SetReadDeadline(at time.Time) error {
	left := time.Duration(0)
	if !at.IsZero() {
		left = time.Until(at)
	}
	h.until = append(h.until, left)
	return nil
}

// TestBoundOfABody: there is one where there is a body and the operator has set none, and
// it ends when the body is passed on.
func TestBoundOfABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			target, body string
			own          time.Duration
			want         []time.Duration
		}{
			"by itself":     {"Bound", "x", 0, []time.Duration{wire.BodyTime}},
			"of nothing":    {"Bound", "", 0, nil},
			"the operators": {"Bound", "x", 1, nil},
			"looked at":     {elsewhere, "{}", 0, []time.Duration{wire.BodyTime, 0}},
			"ours":          {"/_matrix/client/r0/register", "{}", 0, []time.Duration{wire.BodyTime, 0}},
			"ours, refused": {registerToken, "{}", 0, []time.Duration{wire.BodyTime}},
			"not looked at": {"/_matrix/media/v3/upload", "{}", 0, nil},
		} {
			w := &hurried{ResponseRecorder: httptest.NewRecorder()}
			req := httptest.NewRequest("POST", "/", nil)
			if c.body != "" {
				req = httptest.NewRequest("POST", "/", strings.NewReader(c.body))
			}
			req = req.WithContext(context.WithValue(req.Context(), http.ServerContextKey, &http.Server{ReadTimeout: c.own}))
			if c.target == "Bound" {
				wire.Bound(w, req)
			} else {
				r := newRig(t, options{next: upstream(200, `{}`)})
				req.URL.Path = c.target
				if err := r.client.ServeHTTP(w, req, r.next); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(w.until, c.want) {
				t.Errorf("%s: it may be read for %v, want %v", name, w.until, c.want)
			}
		}
	})
}

// TestBodiesAtTheirBounds: what is as long as may be is read to its end, and passed on.
func TestBodiesAtTheirBounds(t *testing.T) {
	for path, bound := range map[string]int{"/_matrix/client/r0/register": DefaultMaxBody, elsewhere: maxLook} {
		for _, write := range []func(string) io.Reader{plainly, chunked} {
			for longer, want := range map[int]int{0: http.StatusOK, 1: http.StatusRequestEntityTooLarge} {
				got := 0
				r := newRig(t, options{next: func(w http.ResponseWriter, req *http.Request) error {
					raw, err := io.ReadAll(req.Body)
					got = len(raw)
					return errors.Join(err, upstream(200, `{}`)(w, req))
				}})
				start, end := `{"auth":{"type":"m.login.dummy"},"x":"`, `"}`
				body := start + strings.Repeat("x", bound+longer-len(start)-len(end)) + end
				rec := r.send(httptest.NewRequest("POST", path, write(body)))
				if rec.Code != want || longer == 0 && (got != bound || len(r.events.list) > 0) {
					t.Errorf("%s, %d bytes: got %d %.80s, and %d bytes were passed on", path, bound+longer, rec.Code, rec.Body, got)
				}
				if longer > 0 {
					wantError(t, rec, want, wire.CodeTooLarge)
				}
			}
		}
	}
}

// TestBodiesThatProveNothingArriveWhole, long ones too.
func TestBodiesThatProveNothingArriveWhole(t *testing.T) {
	for _, size := range []int{1, DefaultMaxBody, maxLook - 100} {
		body, got := `{"x":"`+strings.Repeat("x", size)+`"}`, ""
		r := newRig(t, options{next: func(w http.ResponseWriter, req *http.Request) error {
			raw, err := io.ReadAll(req.Body)
			got = string(raw)
			return errors.Join(err, upstream(200, `{}`)(w, req))
		}})
		if r.send(httptest.NewRequest("POST", elsewhere, chunked(body))); got != body {
			t.Errorf("of %d bytes %d arrived", len(body), len(got))
		}
	}
}

// TestHalfABodyIsNotPassedOn: one that is shorter than it was said to be.
func TestHalfABodyIsNotPassedOn(t *testing.T) {
	start := `{"devices":["` + strings.Repeat("x", DefaultMaxBody)
	for _, c := range []struct {
		body   io.Reader
		length int64
	}{{strings.NewReader(`{"devices":[]}`), 100}, {io.MultiReader(strings.NewReader(start), iotest.ErrReader(io.ErrUnexpectedEOF)), -1}} {
		r := newRig(t, options{})
		req := httptest.NewRequest("POST", elsewhere, c.body)
		req.ContentLength = c.length
		rec := r.send(req)
		if wantError(t, rec, http.StatusBadRequest, wire.CodeNotJSON); len(r.hs.Requests()) > 0 {
			t.Error("it was passed on")
		}
		if got := r.events.list[0]; !errors.Is(got.Err, io.ErrUnexpectedEOF) {
			t.Errorf("it is reported as %+v", got)
		}
	}
}

// closing notes that it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

// TestABodyThatWasLookedAtIsStillTheServers: whoever closes it closes the original.
func TestABodyThatWasLookedAtIsStillTheServers(t *testing.T) {
	body := &closing{Reader: strings.NewReader(`{"devices":[]}`)}
	r := newRig(t, options{next: func(w http.ResponseWriter, req *http.Request) error {
		return errors.Join(req.Body.Close(), upstream(200, `{}`)(w, req))
	}})
	if r.send(httptest.NewRequest("POST", elsewhere, body)); !body.closed {
		t.Error("it was not closed")
	}
}

// TestWhatIsNoConversation keeps the ResponseWriter that it came with, however long its
// path is.
func TestWhatIsNoConversation(t *testing.T) {
	c := &Client{router: &route.Router{Prefixes: route.DefaultPrefixes}}
	for target, want := range map[string]bool{
		"POST /_matrix/client/r0/x": true, "PUT /_matrix/client/r0/x": true, "DELETE /x//_matrix/client/r0/x": false, "PATCH //_matrix/client/r0/x": true,
		"GET /_matrix/client/r0/x": false, "POST /_matrix/media/v3/upload/" + strings.Repeat("a", 4*route.MaxOddPath): false, "POST /_MATRIX/CLIENT/r0/x": true,
		"POST /%5Fmatrix/client/r0/x": true, "POST /_matrix/clientele": false,
	} {
		method, path, _ := strings.Cut(target, " ")
		req := httptest.NewRequest(method, path, nil)
		found, _ := c.router.Classify(req.URL)
		if _, ok := c.endpointOf(&wire.Call{R: req, Route: found}); ok != want {
			t.Errorf("%.60s: it is a conversation: %v", target, ok)
		}
	}
}

// TestShortNamesOfConversationsStayAsTheyWere: they are too short to be looked for in a
// text, and are sealed all the same.
func TestShortNamesOfConversationsStayAsTheyWere(t *testing.T) {
	h, r := newTalking(t)
	h.answer = func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"session":"u1"}`) // to a recorder
	}
	first, _ := decoded(t, r.do("POST", elsewhere, `{}`))["session"].(string)
	again := decoded(t, r.do("POST", elsewhere, withSession(first)))["session"]
	if first == "" || first == "u1" || again != first || h.session() != "u1" {
		t.Errorf("got the name %q, and %q later; the homeserver saw %v", first, again, h.session())
	}
}

// TestNoNameIsToldWithoutAStoreInAnyEncoding, nor in one that nobody can read.
func TestNoNameIsToldWithoutAStoreInAnyEncoding(t *testing.T) {
	name, other := `{"session":"`+homeserverName+`"}`, `{"errcode":"M_UNKNOWN_TOKEN"}`
	answered := httptest.NewRecorder()
	if err := PassWithoutNames(answered, httptest.NewRequest("POST", elsewhere, nil), upstream(200, name, "Content-Encoding", "br")); err != nil || answered.Body.String() != name || answered.Header().Get("Content-Encoding") != "br" {
		t.Errorf("got %v and %v %s, want what is no challenge as it came", err, answered.Header(), answered.Body)
	}
	for _, c := range []struct {
		body, encoding string
		want           int
	}{
		{compressed(name), "gzip", 503}, {compressed(other), "gzip", 401}, {name, "br", 503}, {`{"Session":1}`, "", 503}, {`{"x":"session"}`, "", 401}, {`<session>`, "", 401}, {other, "", 401},
	} {
		rec, req := httptest.NewRecorder(), httptest.NewRequest("POST", elsewhere, strings.NewReader("{}"))
		if err := PassWithoutNames(rec, req, upstream(401, c.body, "Content-Encoding", c.encoding)); err != nil {
			t.Fatal(err)
		}
		encoding := c.encoding
		if c.want == 503 {
			encoding = ""
		}
		if rec.Code != c.want || rec.Header().Get("Content-Encoding") != encoding || c.want == 401 && rec.Body.String() != c.body {
			t.Errorf("%q: got %d %v %q", c.body, rec.Code, rec.Header(), rec.Body)
		}
	}
	failing := func(w http.ResponseWriter, r *http.Request) error {
		return errors.Join(upstream(401, name)(w, r), errDisk)
	}
	for _, next := range []wire.Next{failing, func(http.ResponseWriter, *http.Request) error { return errDisk }} {
		if err := PassWithoutNames(httptest.NewRecorder(), httptest.NewRequest("POST", elsewhere, nil), next); !errors.Is(err, errDisk) {
			t.Errorf("got %v, want the homeserver's failure", err)
		}
	}
}

// TestSessionsThatAreNoNames: what stands beside "auth" is the client's own, and an answer
// that names nothing names nothing to the client either.
func TestSessionsThatAreNoNames(t *testing.T) {
	h, r := newTalking(t)
	h.answer = func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"session":"","x":1}`) // to a recorder
	}
	const body = `{"session":"mine","auth":{"type":"m.login.dummy"}}`
	rec := r.do("POST", elsewhere, body)
	if rec.Body.String() != `{"x":1}` || h.raw[0] != body {
		t.Errorf("the homeserver saw %s, and the client %s", h.raw, rec.Body)
	}
}
