// SPDX-License-Identifier: Apache-2.0

package fakeis

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/faults"
)

func TestFaultsAnswer(t *testing.T) {
	s := start(t)
	tests := []struct {
		name   string
		inject func()
		status int
		text   string // a part of the body
	}{
		{"fail", func() { s.FailNext(1, 503, "M_UNKNOWN", "down") }, 503, `{"errcode":"M_UNKNOWN","error":"down"}`},
		{"page", func() { s.HTMLNext(1, 404) }, 404, "<p>Not Found</p>"},
		{"bare", func() { s.BareNext(1) }, 200, "{}"},
		{"answer", func() { s.AnswerNext(1, 418, "text/plain", "teapot") }, 418, "teapot"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.inject()
			if r := mustDo(t, s, http.MethodPost, BindPath, "alice-token", goodBind); r.status != tt.status || !strings.Contains(r.text, tt.text) {
				t.Errorf("got %d %q, want %d %q", r.status, r.text, tt.status, tt.text)
			}
			if got := s.Lookup("email", "alice@example.org"); got != "" {
				t.Errorf("bound to %q", got)
			}
			// Used up.
			if r := mustDo(t, s, http.MethodGet, StatusPath, "", ""); r.status != http.StatusOK {
				t.Errorf("the next request: got %d %q", r.status, r.text)
			}
		})
	}
}

func TestOversizeNext(t *testing.T) {
	s := start(t)
	const size = 1 << 20
	s.OversizeNext(1, size)
	r := mustDo(t, s, http.MethodPost, BindPath, "alice-token", goodBind)
	if len(r.text) != size || r.object["medium"] != "email" || r.header.Get("Content-Length") != "" {
		t.Errorf("got %d bytes with medium %v, want %d bytes of an association, unannounced", len(r.text), r.object["medium"], size)
	}
}

func TestRedirectNext(t *testing.T) {
	s := start(t)
	s.RedirectNext(1, http.StatusTemporaryRedirect)
	if got := s.Redirected(); got != 0 {
		t.Errorf("got %d visitors before there was a redirect", got)
	}
	r := mustDo(t, s, http.MethodPost, BindPath, "alice-token", goodBind)
	if r.status != http.StatusOK || r.object["address"] != "decoy@example.org" || s.Redirected() != 1 {
		t.Errorf("got %d %q and %d visitors, want the decoy's answer and 1", r.status, r.text, s.Redirected())
	}
	if len(s.Requests()) != 1 {
		t.Errorf("got %d requests, want the first only", len(s.Requests()))
	}
}

func TestCutNext(t *testing.T) {
	s := start(t)
	s.CutNext(1)
	if r, err := do(t, s, http.MethodPost, BindPath, "alice-token", goodBind); err == nil {
		t.Errorf("got %d %q, want a broken connection", r.status, r.text)
	}
	if got := s.Lookup("email", "alice@example.org"); got != "" {
		t.Errorf("bound to %q", got)
	}
}

// arrived waits until the server has seen n requests.
func arrived(t *testing.T, s *Server, n int) {
	t.Helper()
	for start := time.Now(); len(s.Requests()) < n; time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("got %d requests, want %d", len(s.Requests()), n)
		}
	}
}

// outcome is what a request that runs beside the test came to.
type outcome struct {
	reply
	err error
}

// bindBeside sends a bind from a goroutine.
func bindBeside(t *testing.T, s *Server, ctx context.Context) <-chan outcome {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.Name()+BindPath, strings.NewReader(goodBind))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer alice-token")
	c, done := client(t, s), make(chan outcome, 1)
	go func() {
		resp, err := c.Do(req)
		if err != nil {
			done <- outcome{err: err}
			return
		}
		_ = resp.Body.Close()
		done <- outcome{reply: reply{status: resp.StatusCode}}
	}()
	return done
}

func TestHangNextUntilReleased(t *testing.T) {
	s := start(t)
	release := s.HangNext(1)
	done := bindBeside(t, s, t.Context())
	arrived(t, s, 1)
	// Others are answered meanwhile.
	if r := mustDo(t, s, http.MethodGet, StatusPath, "", ""); r.status != http.StatusOK {
		t.Errorf("another request: got %d", r.status)
	}
	if got := s.Lookup("email", "alice@example.org"); got != "" {
		t.Errorf("bound to %q before the release", got)
	}
	release()
	release()
	if got := <-done; got.err != nil || got.status != http.StatusOK {
		t.Errorf("got %d, %v, want 200", got.status, got.err)
	}
	if got := s.Lookup("email", "alice@example.org"); got != "@alice:example.org" {
		t.Errorf("bound to %q after the release", got)
	}
}

func TestHangNextUntilTheCallerGivesUp(t *testing.T) {
	s := start(t)
	defer s.HangNext(1)()
	ctx, cancel := context.WithCancel(t.Context())
	done := bindBeside(t, s, ctx)
	arrived(t, s, 1)
	cancel()
	if got := <-done; got.err == nil {
		t.Errorf("got %d, want no answer", got.status)
	}
}

func TestCloseEndsWhatHangs(t *testing.T) {
	s := start(t)
	_ = s.HangNext(1)
	done := bindBeside(t, s, t.Context())
	arrived(t, s, 1)
	s.Close()
	if got := <-done; got.err == nil {
		t.Errorf("got %d, want a broken connection", got.status)
	}
	if got := s.Lookup("email", "alice@example.org"); got != "" {
		t.Errorf("bound to %q", got)
	}
	if _, err := do(t, s, http.MethodGet, StatusPath, "", ""); err == nil {
		t.Error("a closed server answers")
	}
}

func TestInject(t *testing.T) {
	s := start(t)
	status := func() int { return mustDo(t, s, http.MethodGet, StatusPath, "", "").status }
	answer := func(code int) faults.Fault {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			w.Header().Set("X-Fault", "1")
			if code == 0 {
				next.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(code)
		}
	}
	s.Inject(0, nil, answer(500))
	s.Inject(2, On(StatusPath), answer(501))
	s.Inject(1, On(BindPath), answer(502))
	s.Inject(-1, nil, answer(503))
	for i, want := range []int{501, 501, 503, 503} {
		if got := status(); got != want {
			t.Errorf("request %d: got %d, want %d", i+1, got, want)
		}
	}
	if r := mustDo(t, s, http.MethodPost, BindPath, "", ""); r.status != 502 {
		t.Errorf("on another path: got %d, want 502", r.status)
	}
	s.ClearFaults()
	s.Inject(1, nil, answer(0))
	r := mustDo(t, s, http.MethodGet, StatusPath, "", "")
	if r.status != http.StatusOK || r.header.Get("X-Fault") == "" {
		t.Errorf("through next: got %d with header %v", r.status, r.header)
	}
	if got := status(); got != http.StatusOK {
		t.Errorf("afterwards: got %d, want 200", got)
	}
}
