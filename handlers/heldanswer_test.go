// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// ledger is a ResponseWriter that writes down what is done to it.
type ledger struct {
	http.ResponseWriter
	done []string
}

func (l *ledger) WriteHeader(status int) {
	l.done = append(l.done, fmt.Sprint(status))
	l.ResponseWriter.WriteHeader(status)
}

func (l *ledger) Write(p []byte) (int, error) {
	l.done = append(l.done, string(p))
	return l.ResponseWriter.Write(p)
}

func (l *ledger) FlushError() error {
	l.done = append(l.done, "flushed")
	return errDisk
}

// TestHeldAnswers: what is not looked at goes on at once, as it comes; of what is, there
// is nothing to see until it is passed on.
func TestHeldAnswers(t *testing.T) {
	write := func(h *wire.AnswerHolder, texts ...string) {
		for _, text := range texts {
			_, _ = h.Write([]byte(text)) // to a recorder
		}
	}
	for name, c := range map[string]struct {
		do           func(h *wire.AnswerHolder)
		before, want []string
	}{
		"nothing":                {func(*wire.AnswerHolder) {}, nil, nil},
		"not wanted":             {func(h *wire.AnswerHolder) { h.WriteHeader(200); write(h, "a", "b"); h.Flush() }, []string{"200", "a", "b", "flushed"}, nil},
		"no status":              {func(h *wire.AnswerHolder) { write(h, "a", "b") }, []string{"200", "a", "b"}, nil},
		"not wanted, twice":      {func(h *wire.AnswerHolder) { h.WriteHeader(200); h.WriteHeader(401); write(h, "a") }, []string{"200", "401", "a"}, nil},
		"wanted":                 {func(h *wire.AnswerHolder) { h.WriteHeader(401); write(h, "a", "b"); h.Flush() }, nil, []string{"401", "AB"}},
		"wanted, twice":          {func(h *wire.AnswerHolder) { h.WriteHeader(401); h.WriteHeader(200); write(h, "a") }, nil, []string{"401", "A"}},
		"hints, and then wanted": {func(h *wire.AnswerHolder) { h.WriteHeader(103); h.WriteHeader(401); write(h, "a") }, []string{"103"}, []string{"401", "A"}},
	} {
		to := &ledger{ResponseWriter: httptest.NewRecorder()}
		h := &wire.AnswerHolder{ResponseWriter: to, Wanted: wire.IsChallenge}
		c.do(h)
		if before := slices.Clone(to.done); !slices.Equal(before, c.before) {
			t.Errorf("%s: at first got %q, want %q", name, before, c.before)
		}
		h.Pass(func(text []byte) ([]byte, error) { return bytes.ToUpper(text), nil })
		if got := to.done[len(c.before):]; !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if h.Unwrap() != http.ResponseWriter(to) || wire.PassedOn(h) != http.ResponseWriter(h) || wire.PassedOn(to) != http.ResponseWriter(to) {
			t.Errorf("%s: it is not what is around the writer", name)
		}
		if h.Sealing = true; wire.PassedOn(h) != http.ResponseWriter(to) {
			t.Errorf("%s: what changes names only is in the way", name)
		}
	}
	h := &wire.AnswerHolder{ResponseWriter: &ledger{ResponseWriter: httptest.NewRecorder()}, Wanted: wire.IsChallenge}
	if h.WriteHeader(200); !errors.Is(h.FlushError(), errDisk) {
		t.Error("a writer that cannot be flushed is not said to be so")
	}
}

func compressed(text string) string {
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	_, _ = zw.Write([]byte(text)) // into memory
	_ = zw.Close()
	return buf.String()
}

// TestHeldAnswersAreReadWhole, up to their bound, or not passed on; an answer that needs
// no change stays as it was written, with all that describes it.
func TestHeldAnswersAreReadWhole(t *testing.T) {
	full := strings.Repeat("x", wire.MaxAnswer)
	change := func(text []byte) ([]byte, error) {
		if len(text) == 0 || text[0] == 'x' {
			return text, nil
		}
		return bytes.ToUpper(text), nil
	}
	for name, c := range map[string]struct {
		encoding, body string
		unknownLength  bool
		want           string // empty: 502
	}{
		"as it is":                {"", "abc", false, "ABC"},
		"said to be as it is":     {"identity", "abc", false, "ABC"},
		"of no known length":      {"", "abc", true, "ABC"},
		"compressed":              {"gzip", compressed("abc"), false, "ABC"},
		"compressed, unchanged":   {"gzip", compressed("xyz"), false, compressed("xyz")},
		"compressed, and cut":     {"gzip", compressed("abc")[:20], false, ""},
		"unchanged":               {"", "xyz", false, "xyz"},
		"as long as may be":       {"", full, false, full},
		"longer":                  {"", full + "x", false, ""},
		"longer once unpacked":    {"gzip", compressed(full + "x"), false, ""},
		"that long once unpacked": {"gzip", compressed(full), false, compressed(full)},
		"an encoding of others":   {"br", "abc", false, ""},
	} {
		rec := httptest.NewRecorder()
		h := &wire.AnswerHolder{ResponseWriter: rec, Wanted: wire.IsChallenge}
		h.Header().Set("Etag", `"e"`)
		if c.encoding != "" {
			h.Header().Set("Content-Encoding", c.encoding)
		}
		if !c.unknownLength {
			h.Header().Set("Content-Length", fmt.Sprint(len(c.body)))
		}
		h.WriteHeader(401)
		for part := range slices.Chunk([]byte(c.body), 1<<19) {
			if n, err := h.Write(part); err == nil && n != len(part) || err != nil && (n != 0 || !errors.Is(err, wire.ErrOversized)) {
				t.Errorf("%s: got %d, %v", name, n, err) // and it goes on
			}
		}
		h.Pass(change)
		if c.want == "" {
			if wantError(t, rec, 502, "M_UNKNOWN"); rec.Header().Get("Content-Encoding") != "" {
				t.Errorf("%s: our answer is said to be %s", name, rec.Header().Get("Content-Encoding"))
			}
			continue
		}
		length, tag, encoding := fmt.Sprint(len(c.want)), `"e"`, c.encoding
		if c.want != c.body {
			tag, encoding = "", ""
		}
		if c.unknownLength {
			length = ""
		}
		got := rec.Header()
		if rec.Code != 401 || rec.Body.String() != c.want || got.Get("Content-Length") != length || got.Get("Etag") != tag || got.Get("Content-Encoding") != encoding {
			t.Errorf("%s: got %d %v %.40q, want %.40q", name, rec.Code, got, rec.Body, c.want)
		}
	}
}

// TestAnswersWithoutABodySayWhatTheyWouldHave: those to HEAD.
func TestAnswersWithoutABodySayWhatTheyWouldHave(t *testing.T) {
	rec := httptest.NewRecorder()
	h := &wire.AnswerHolder{ResponseWriter: rec, Wanted: isText}
	h.Header().Set("Content-Length", "123")
	h.WriteHeader(200)
	if h.Pass(nil); rec.Header().Get("Content-Length") != "123" {
		t.Errorf("got %v", rec.Header())
	}
}

// TestWhoIsInTheWay: what seals names is taken off by PassedOn, at a round of a
// conversation as at its page.
func TestWhoIsInTheWay(t *testing.T) {
	r, h := newRig(t, options{}), &talking{}
	r.next = h.next
	name := r.challengedAt("POST", elsewhere)
	for _, target := range []string{"POST " + elsewhere, "GET /_matrix/client/r0/auth/m.login.terms/fallback/web?session=" + name} {
		method, path, _ := strings.Cut(target, " ")
		rec := httptest.NewRecorder()
		err := r.client.ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader("{}")), func(w http.ResponseWriter, _ *http.Request) error {
			if w == http.ResponseWriter(rec) || wire.PassedOn(w) != http.ResponseWriter(rec) {
				t.Errorf("%s: there is something in the way", target)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestRequestsAreGivenBack: whoever called us has the request as it was, and the
// homeserver was asked for nothing that we cannot read.
func TestRequestsAreGivenBack(t *testing.T) {
	challenge := fmt.Sprintf(`{"auth":{"session":%q}}`, "x")
	page := "/_matrix/client/r0/auth/m.login.terms/fallback/web?session=x"
	for name, c := range map[string]struct{ method, path, body string }{
		"a round":             {"POST", elsewhere, challenge},
		"the round of a path": {"POST", "/_matrix/client/v3/register", challenge},
		"a page":              {"GET", page, ""},
		"the form of a page":  {"POST", page, "session=x"},
		"without a store":     {"POST", elsewhere, challenge},
	} {
		r := newRig(t, options{})
		for _, own := range []http.Header{
			{"Accept-Encoding": {"br"}, "Connection": {"X-Own, close"}, "Content-Type": {"application/x-www-form-urlencoded"}},
			{"Content-Type": {"application/x-www-form-urlencoded"}},
		} {
			req := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			req.Header = own.Clone()
			before, header := *req, req.Header
			next := func(w http.ResponseWriter, got *http.Request) error {
				if own["Accept-Encoding"] != nil && got.Header.Get("Accept-Encoding") != "identity" || strings.Contains(got.URL.RawQuery, "session") {
					t.Errorf("%s: the homeserver was asked for %s, %v", name, got.URL, got.Header)
				}
				return upstream(200, `{}`)(w, got)
			}
			serve := r.client.ServeHTTP
			if name == "without a store" {
				serve = PassWithoutNames
			}
			err := serve(httptest.NewRecorder(), req, next)
			if err != nil || req.URL != before.URL || req.RequestURI != before.RequestURI || req.Body != before.Body || req.ContentLength != before.ContentLength || !sameHeader(req.Header, own) || !sameHeader(header, own) {
				t.Errorf("%s: got %v, and the request has become %s %v, %v", name, err, req.URL, req.Header, header)
			}
		}
	}
}

// TestConnectionOptions: in many headers as in one, and those of the client's own header
// stay as they are.
func TestConnectionOptions(t *testing.T) {
	for given, want := range map[string]string{
		"TE": "TE", "te;x-own": "te", "close,": "close,", "close, ;x-own": "close", "upgrade;x-own;keep-alive": "upgrade, keep-alive", "http2-settings, x": "http2-settings",
	} {
		req := httptest.NewRequest("POST", "/", nil)
		own := http.Header{"Connection": strings.Split(given, ";")}
		req.Header = own.Clone()
		before := req.Header
		wire.KeepHeaders(req)
		if got := strings.Join(req.Header["Connection"], ", "); got != want || !sameHeader(before, own) {
			t.Errorf("%q: got %q, want %q, and the client's own is %v", given, got, want, before)
		}
	}
}

// TestEncodingsThatWeCanRead are what is asked for, and nothing else.
func TestEncodingsThatWeCanRead(t *testing.T) {
	for given, want := range map[string]string{
		"identity": "identity", "gzip|br": "gzip", "br|gzip": "gzip", "br|zstd": "identity", "GZIP": "gzip", "x-gzip": "identity", " gzip ;q=1": "gzip",
		"gzip;Q=0": "identity", "gzip; q = 0.000": "identity", "gzip;q=0.001": "gzip", "gzip;": "gzip", "br, gzip;q=0|gzip": "gzip", "*": "identity", "gzip, gzip;q=0": "gzip",
	} {
		req := httptest.NewRequest("PUT", "/", nil)
		own := http.Header{"Accept-Encoding": strings.Split(given, "|")}
		req.Header = own.Clone()
		before := req.Header
		wire.LimitEncodings(req)
		if got := strings.Join(req.Header["Accept-Encoding"], "|"); got != want || !sameHeader(before, own) {
			t.Errorf("%q: got %q, want %q, and the client's own is %v", given, got, want, before)
		}
	}
}
