// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestExchange_TheHomeserverGetsAnotherRequest, and whoever is around us has its own
// again afterwards: the path with its escapes, the body, and what described it.
func TestExchange_TheHomeserverGetsAnotherRequest(t *testing.T) {
	r := httptest.NewRequest("POST", "/a%2Fb/c?x=1", strings.NewReader("what came"))
	before := http.Header{
		"Accept-Encoding": {"br"}, "If-None-Match": {"x"}, "Range": {"bytes=0-1"}, "Content-Encoding": {"gzip"}, "Transfer-Encoding": {"chunked"},
		"Expect": {"100-continue"}, "Connection": {"close"}, "Authorization": {"Bearer t"}, "Content-Type": {"text/plain"},
	}
	r.Header = before.Clone()
	r.TransferEncoding = []string{"chunked"}
	saved := *r
	answer, err := Exchange(r, func(w http.ResponseWriter, r *http.Request) error {
		want := http.Header{
			"Accept-Encoding": {"identity"}, "Authorization": {"Bearer t"}, "Content-Type": {"application/json"}, "Content-Length": {"2"},
		}
		if !maps.EqualFunc(r.Header, want, slices.Equal) {
			t.Errorf("the homeserver got headers %v, want %v", r.Header, want)
		}
		if raw, _ := io.ReadAll(r.Body); string(raw) != "{}" || r.ContentLength != 2 || r.TransferEncoding != nil {
			t.Errorf("the homeserver got %q of %d bytes, %q", raw, r.ContentLength, r.TransferEncoding)
		}
		if r.URL.EscapedPath() != "/other" || r.RequestURI != "/other?x=1" {
			t.Errorf("the homeserver was asked for %s, %s", r.URL, r.RequestURI)
		}
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK)
		_, err := io.WriteString(w, "answer")
		w.(http.Flusher).Flush()
		return err
	}, "/other", []byte("{}"))
	if err != nil || answer.Status != http.StatusTeapot || answer.Body.String() != "answer" {
		t.Errorf("got %d %s, %v", answer.Status, answer.Body.String(), err)
	}
	if !maps.EqualFunc(r.Header, before, slices.Equal) || r.URL != saved.URL || r.Body != saved.Body || r.ContentLength != saved.ContentLength || r.Context() != saved.Context() {
		t.Errorf("left behind is %+v, want %+v", r, saved)
	}
}

// TestExchange_WithoutABodyOrAnotherPath: both stay as they came.
func TestExchange_WithoutABodyOrAnotherPath(t *testing.T) {
	r := httptest.NewRequest("GET", "/a%2Fb", strings.NewReader("what came"))
	_, err := Exchange(r, func(w http.ResponseWriter, r *http.Request) error {
		raw, _ := io.ReadAll(r.Body)
		if r.URL.EscapedPath() != "/a%2Fb" || string(raw) != "what came" {
			t.Errorf("the homeserver got %s %q", r.URL, raw)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}, "/a/b", nil)
	if err != nil {
		t.Error(err)
	}
}

// TestExchange_NoClientEndsIt, for nobody would know what the homeserver has done; time
// does.
func TestExchange_NoClientEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, leave := context.WithCancel(t.Context())
		leave()
		r := httptest.NewRequest("POST", "/", http.NoBody).WithContext(gone)
		start := time.Now()
		var during context.Context
		_, _ = Exchange(r, func(_ http.ResponseWriter, r *http.Request) error {
			during = r.Context()
			return nil
		}, "/", nil)
		if during.Err() == nil {
			t.Error("what was begun for an answer goes on after it")
		}
		_, err := Exchange(r, func(_ http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return r.Context().Err()
		}, "/", nil)
		if took := time.Since(start); took != 90*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v after %s, want an end after 90 s", err, took)
		}
	})
}

// TestExchange_AnswersThatAreNone: what is cut, too large or not there, and a fault that
// is not the homeserver's.
func TestExchange_AnswersThatAreNone(t *testing.T) {
	failure := errors.New("refused")
	write := func(n int) Next {
		return func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = w.Write(make([]byte, n-1))
			_, _ = w.Write([]byte("x"))
			return nil
		}
	}
	for name, c := range map[string]struct {
		next Next
		want error
	}{
		"none":          {func(http.ResponseWriter, *http.Request) error { return nil }, ErrNoAnswer},
		"a failure":     {func(http.ResponseWriter, *http.Request) error { return failure }, failure},
		"cut":           {func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }, errAborted},
		"the largest":   {write(MaxAnswer), nil},
		"one too large": {write(MaxAnswer + 1), ErrOversized},
	} {
		_, err := Exchange(httptest.NewRequest("POST", "/", http.NoBody), c.next, "/x", nil)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	defer func() {
		if p := recover(); p != "ours" {
			t.Errorf("got panic %v, want what it was", p)
		}
	}()
	_, _ = Exchange(httptest.NewRequest("POST", "/", http.NoBody), func(http.ResponseWriter, *http.Request) error { panic("ours") }, "/x", nil)
}

// TestUpstreamFailuresAreToldAsWhatTheyAre: a rule of the operator's is no failure.
func TestUpstreamFailuresAreToldAsWhatTheyAre(t *testing.T) {
	for status, want := range map[int]int{399: 502, 400: 0, 403: 0, 499: 0, 500: 502, 502: 502, 503: 503, 504: 504, 0: 502} {
		cause := &UpstreamError{Status: status, Err: ErrNoAnswer}
		err := UpstreamFailure(cause)
		me, told := errors.AsType[*MatrixError](err)
		if got, want := cause.Error(), fmt.Sprintf("status %d: %v", status, ErrNoAnswer); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if told && me.Status != want || told != (want != 0) || !errors.Is(err, error(cause)) {
			t.Errorf("%d: got %v, want %d", status, err, want)
		}
	}
}

// TestRelayedAnswersAreWhole: with the length that they have, if they may have one, and
// with the homeserver's own rules for browsers, if it has any.
func TestRelayedAnswersAreWhole(t *testing.T) {
	for status, length := range map[int]string{http.StatusOK: "2", http.StatusNoContent: "", http.StatusNotModified: ""} {
		for _, origin := range []string{"", "https://app.example"} {
			answer := &Answer{Status: status}
			answer.Header().Set("X-Own", "1")
			answer.Body.WriteString("{}")
			if origin != "" {
				answer.Header().Set("Access-Control-Allow-Origin", origin)
			}
			rec := httptest.NewRecorder()
			answer.CopyTo(rec)
			h := rec.Header()
			if rec.Code != status || rec.Body.String() != "{}" || h.Get("Content-Length") != length || h.Get("X-Own") != "1" {
				t.Errorf("%d: got %d %v %s", status, rec.Code, h, rec.Body)
			}
			if got := h.Get("Access-Control-Allow-Origin"); origin != "" && got != origin || origin == "" && got != "*" {
				t.Errorf("%d: got %q of %q for browsers", status, got, origin)
			}
		}
	}
}
