// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// countingReader is an endless body that notes how much of it was read.
type countingReader struct{ n int }

func (r *countingReader) Read(p []byte) (int, error) {
	r.n += len(p)
	return copy(p, bytes.Repeat([]byte{'x'}, len(p))), nil
}

// everyHandler is one of each service, with its receiver.
func everyHandler(t testing.TB) map[string]struct {
	h   http.Handler
	box *inbox
	ok  []string // headers without which the body would not be read
} {
	t.Helper()
	ses, sesBox, _ := newSES(t, nil)
	mailgun, mailgunBox, _ := newMailgun(t)
	sendgrid, sendgridBox := newSendGrid(t)
	postmark, postmarkBox := newPostmark(t)
	type entry = struct {
		h   http.Handler
		box *inbox
		ok  []string
	}
	return map[string]entry{
		"ses":      {ses, sesBox, nil},
		"mailgun":  {mailgun, mailgunBox, nil},
		"sendgrid": {sendgrid, sendgridBox, []string{sendGridSignature, "AAAA", sendGridTimestamp, unixText(start)}},
		"postmark": {postmark, postmarkBox, []string{"Authorization", postmarkAuth, "X-Threepid-Secret", postmarkSecret}},
	}
}

func TestNothingButPOST(t *testing.T) {
	for name, e := range everyHandler(t) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodOptions, "BREW"} {
			w := httptest.NewRecorder()
			e.h.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodPost {
				t.Errorf("%s: %s gives %d, Allow %q", name, method, w.Code, w.Header().Get("Allow"))
			}
		}
		if len(e.box.notes)+len(e.box.reports) != 0 {
			t.Errorf("%s: something was noted", name)
		}
	}
}

func TestOversizedBodiesAreRefused(t *testing.T) {
	for name, e := range everyHandler(t) {
		// Announced: nothing is read.
		body := &countingReader{}
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.ContentLength = MaxBody + 1
		addHeaders(r, e.ok)
		w := httptest.NewRecorder()
		e.h.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || body.n != 0 {
			t.Errorf("%s, announced: %d after %d bytes", name, w.Code, body.n)
		}
		e.box.wantNothing(t, feedback.TooLarge)

		// Not announced: reading ends at the limit.
		e.box.notes = nil
		r = httptest.NewRequest(http.MethodPost, "/", body)
		r.ContentLength = -1
		addHeaders(r, e.ok)
		w = httptest.NewRecorder()
		e.h.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || body.n > 4*MaxBody {
			t.Errorf("%s, not announced: %d after %d bytes", name, w.Code, body.n)
		}
		e.box.wantNothing(t, feedback.TooLarge)
	}
}

// TestTheLargestBodyIsRead, announced or not, and no larger one.
func TestTheLargestBodyIsRead(t *testing.T) {
	for _, size := range []int{MaxBody, MaxBody + 1} {
		for _, announced := range []bool{true, false} {
			e := everyHandler(t)["mailgun"]
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat(" ", size)))
			if !announced {
				r.ContentLength = -1
			}
			w := httptest.NewRecorder()
			e.h.ServeHTTP(w, r)
			if (w.Code == http.StatusRequestEntityTooLarge) != (size > MaxBody) {
				t.Errorf("%d bytes, announced %t: %d", size, announced, w.Code)
			}
		}
	}
}

func TestBrokenBodiesAreMalformed(t *testing.T) {
	for name, e := range everyHandler(t) {
		r := httptest.NewRequest(http.MethodPost, "/", failingReader{})
		addHeaders(r, e.ok)
		w := httptest.NewRecorder()
		e.h.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", name, w.Code)
		}
		e.box.wantNothing(t, feedback.Malformed)
	}
}

func TestGarbageIsNotGenuine(t *testing.T) {
	for name, e := range everyHandler(t) {
		if name == "postmark" {
			continue // its body is not signed; see its own tests
		}
		for _, body := range []string{"", "{", "null", "[]", "42", "\x00\xff", `{"Type":7}`, strings.Repeat("[", 1<<16)} {
			e.box.notes = nil
			if got := post(t, e.h, body, e.ok...); got != http.StatusForbidden {
				t.Errorf("%s: %.20q gives %d", name, body, got)
			}
			e.box.wantNothing(t, feedback.Forbidden)
		}
	}
}

func TestFailureOfTheReceiverAsksToRepeat(t *testing.T) {
	h, box := newPostmark(t)
	box.fail = errBroken
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(postmarkHardBounce))
	addHeaders(r, []string{"Authorization", postmarkAuth, "X-Threepid-Secret", postmarkSecret})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if got, err := io.ReadAll(w.Body); err != nil || len(got) != 0 {
		t.Errorf("body %q, %v: the error is nobody's business", got, err)
	}
}

func addHeaders(r *http.Request, headers []string) {
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
}

func TestTimesOfAllKinds(t *testing.T) {
	for in, want := range map[text]time.Time{
		"2026-03-01T12:00:00.123Z":          start.Add(123 * time.Millisecond),
		"2026-03-01T07:00:00.1234567-05:00": start.Add(123456700),
		"2026-03-01T12:00:00Z":              start,
		"":                                  {}, "yesterday": {}, "2026-03-01": {},
	} {
		if got := stamp(in); !got.Equal(want) {
			t.Errorf("stamp(%q) = %v, want %v", in, got, want)
		}
	}
	for in, want := range map[text]time.Time{
		"1772366400": start, "1772366400.25": start.Add(250 * time.Millisecond), "1.7723664e9": start,
		"": {}, "0": {}, "-1": {}, "NaN": {}, "Inf": {}, "1e300": {}, "x": {},
	} {
		if got := unix(in); !got.Equal(want) {
			t.Errorf("unix(%q) = %v, want %v", in, got, want)
		}
	}
	for _, in := range []string{"", "-1", "+1", "1.5", " 1", "1e3", "0x1", "999999999999"} {
		if at, ok := wholeSeconds(in); ok {
			t.Errorf("wholeSeconds(%q) = %v", in, at)
		}
	}
}

func TestTextBearsOtherTypes(t *testing.T) {
	var v struct {
		A, B, C, D, E, F text
		O, P             object
	}
	body := `{"A":"x","B":5.10,"C":null,"D":{"a":1},"E":[1],"F":true,"O":{"threepid-tag":"tag","n":1},"P":[]}`
	if err := decode([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	if v.A != "x" || v.B != "5.10" || v.C+v.D+v.E+v.F != "" || v.O.tag() != "tag" || v.P.tag() != "" {
		t.Errorf("%+v", v)
	}
}
