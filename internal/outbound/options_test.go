// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestDefaultsAreForWhatIsNotSet: every limit that is set is kept, were it the
// least, and any other is the default.
func TestDefaultsAreForWhatIsNotSet(t *testing.T) {
	for _, n := range []int64{-1, 0, 1, 1 << 40} {
		got := Options{Timeout: time.Duration(n), DialTimeout: time.Duration(n), MaxBody: n, MaxHeader: n}.withDefaults()
		want := [4]int64{n, n, n, n}
		if n <= 0 {
			want = [4]int64{int64(DefaultTimeout), int64(DefaultDialTimeout), DefaultMaxBody, DefaultMaxHeader}
		}
		if all := [4]int64{int64(got.Timeout), int64(got.DialTimeout), got.MaxBody, got.MaxHeader}; all != want {
			t.Errorf("limits of %d become %v, want %v", n, all, want)
		}
		if got.Resolver != net.DefaultResolver || got.Dial == nil {
			t.Errorf("the resolver is %v, want the system's", got.Resolver)
		}
	}
}

// TestHeaderCapIsTheOneThatIsSet: of an answer that is longer, nothing
// arrives.
func TestHeaderCapIsTheOneThatIsSet(t *testing.T) {
	for limit, good := range map[int64]bool{1 << 10: false, 0: false, 64 << 10: true} {
		l := newLab(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", DefaultMaxHeader+1))
		}, Options{MaxHeader: limit})
		if status, _, err := get(l.client, mustName(t, host).URL("/")); (err == nil) != good || (status == http.StatusOK) != good {
			t.Errorf("a limit of %d: got %d, %v", limit, status, err)
		}
	}
}

// TestStatuses: what HTTP calls an answer is passed on, but for redirects.
func TestStatuses(t *testing.T) {
	g := &checkedTransport{maxBody: 5}
	for status := range 700 {
		want := error(nil)
		switch {
		case status < 200 || status >= 600:
			want = ErrProtocol
		case status/100 == 3:
			want = ErrRedirect
		}
		for length, tooLarge := range map[int64]bool{-1: false, 0: false, 5: false, 6: true} {
			err := g.checkAnswer(&http.Response{StatusCode: status, ContentLength: length})
			if want == nil && tooLarge && !errors.Is(err, ErrTooLarge) || (want != nil || !tooLarge) && !errors.Is(err, want) {
				t.Errorf("status %d with %d bytes: got %v", status, length, err)
			}
		}
	}
}

// TestBodyOfARefusedRequestIsClosed: the transport owns it, also where it asks
// nobody.
func TestBodyOfARefusedRequestIsClosed(t *testing.T) {
	body := &chunkReader{err: io.EOF}
	req, err := http.NewRequest(http.MethodPost, "https://IS.example/", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := NewClient(Options{}).Transport.RoundTrip(req)
	if resp != nil || !errors.Is(err, ErrName) || !body.closed {
		t.Errorf("got %v, %v, closed: %v", resp, err, body.closed)
	}
}

// TestAnswerThatIsRefusedIsClosed, so that its connection ends.
func TestAnswerThatIsRefusedIsClosed(t *testing.T) {
	for status, length := range map[int]int64{http.StatusFound: 0, http.StatusSwitchingProtocols: 0, http.StatusOK: 6} {
		body := &chunkReader{err: io.EOF}
		g := &checkedTransport{maxBody: 5, next: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, ContentLength: length, Body: body}, nil
		})}
		req, err := http.NewRequest(http.MethodGet, mustName(t, host).URL("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := g.RoundTrip(req); resp != nil || err == nil || !body.closed {
			t.Errorf("status %d: got %v, %v, closed: %v", status, resp, err, body.closed)
		}
	}
}

// TestRedirectsHaveNoSecondChance: were one to come past the client, it would not be
// followed.
func TestRedirectsHaveNoSecondChance(t *testing.T) {
	if err := NewClient(Options{}).CheckRedirect(nil, nil); !errors.Is(err, ErrRedirect) {
		t.Errorf("got %v, want %v", err, ErrRedirect)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
