// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/faults"
)

func TestFailNextDoesNothingElse(t *testing.T) {
	w := newWorld(t, open)
	w.hs.FailNext(2, 503)
	body := `{"username":"bob","password":"pw","auth":{"type":"m.login.dummy"}}`
	for range 2 {
		w.post("/register", "", body).wants(t, 503, "M_UNKNOWN")
	}
	if w.hs.HasUser("bob") {
		t.Error("got an account from a failed request, want none")
	}
	w.post("/register", "", body).wants(t, 200, "")
	if n := len(w.hs.Requests()); n != 3 {
		t.Errorf("got %d requests recorded, want all 3", n)
	}
}

func TestInjectMatchesAndIsUsedUpInOrder(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	teapot := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(418) }
	login := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/login") }
	w.hs.Inject(0, nil, teapot)
	w.hs.Inject(-1, login, teapot)
	w.hs.FailNext(1, 502)
	status := func(path string) int { return w.do("GET", path, "", "").status }
	got := []int{status(r0 + "/login"), status("/_matrix/client/versions"), status("/_matrix/client/versions"), status(r0 + "/login")}
	w.hs.ClearFaults()
	got = append(got, status(r0+"/login"))
	if want := []int{418, 502, 200, 418, 200}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestInjectMayHandleTheRequestAfterAll(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("alice", "pw")
	w.hs.Inject(1, nil, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("X-Harm", "done")
		next.ServeHTTP(w, r)
	})
	got := w.post("/login", "", `{"type":"m.login.password","user":"alice","password":"pw"}`)
	if got.status != 200 || got.header.Get("X-Harm") != "done" {
		t.Errorf("got %d %v, want 200 and the mark", got.status, got.header)
	}
}

// TestEachCallOfAJourneyCanFail: whichever the call, what failed did nothing, and what
// acted before it failed did all.
func TestEachCallOfAJourneyCanFail(t *testing.T) {
	journey := []string{
		`/register {"username":"bob","password":"pw","auth":{"type":"m.login.dummy"}}`,
		`/register {"username":"eve","password":"pw","auth":{"type":"m.login.dummy"}}`,
	}
	page := faults.Answering(502, "text/html", "<html>")
	for n := range journey {
		for name, tc := range map[string]struct {
			fault fakehs.Fault
			acted bool
		}{"fails": {fakehs.Failing(502), false}, "answers": {page, false}, "acts": {fakehs.Acting(page), true}} {
			w := newWorld(t, open)
			w.hs.Inject(1, fakehs.Past(n), tc.fault)
			for i, line := range journey {
				path, body, _ := strings.Cut(line, " ")
				got, want := w.post(path, "", body).status, 200
				if i == n {
					want = 502
				}
				if got != want {
					t.Errorf("%s at %d: call %d: got %d, want %d", name, n, i, got, want)
				}
			}
			for i, user := range []string{"bob", "eve"} {
				if got, want := w.hs.HasUser(user), i != n || tc.acted; got != want {
					t.Errorf("%s at %d: got %s: %t, want %t", name, n, user, got, want)
				}
			}
		}
	}
}

func TestAsIsAnotherUser(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("alice", "pw", "a@example.org")
	w.hs.AddUser("bob", "pw", "b@example.org")
	token := w.token("alice", "pw")
	w.hs.Inject(2, fakehs.On("GET", r0+"/account/whoami"), w.hs.As("bob"))
	for _, tc := range []struct{ method, query, token, want string }{
		{"POST", "", token, ""},
		{"GET", "", token, "@bob:hs.example"},
		{"GET", "?access_token=" + token, "", "@bob:hs.example"},
		{"GET", "", token, "@alice:hs.example"},
	} {
		if got, _ := w.do(tc.method, r0+"/account/whoami"+tc.query, tc.token, "").json["user_id"].(string); got != tc.want {
			t.Errorf("%s %s: got %q, want %q", tc.method, tc.query, got, tc.want)
		}
	}
}

func TestHangNextHoldsUntilReleased(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	release := w.hs.HangNext(2)
	defer release()

	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+"/_matrix/client/versions", nil)
	if err != nil {
		t.Fatal(err)
	}
	lost := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		lost <- err
	}()
	for len(w.hs.Requests()) == 0 { // the first is in the server
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-lost; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v from the client that gave up, want context.Canceled", err)
	}

	held := make(chan int, 1)
	go func() {
		resp, err := http.Get(w.url + "/_matrix/client/versions")
		if err != nil {
			held <- 0
			return
		}
		_ = resp.Body.Close()
		held <- resp.StatusCode
	}()
	for len(w.hs.Requests()) < 2 {
		time.Sleep(time.Millisecond)
	}
	select {
	case got := <-held:
		t.Errorf("got %d before the release, want it held", got)
	default:
	}
	release()
	release()
	if got := <-held; got != 200 {
		t.Errorf("got %d after the release, want 200", got)
	}
}

func TestAbortNextTakesEffectButBreaksTheAnswer(t *testing.T) {
	w := newWorld(t, open)
	w.hs.AbortNext(1, 5)
	resp, err := http.Post(w.url+r0+"/register", "", strings.NewReader(`{"username":"bob","password":"pw","auth":{"type":"m.login.dummy"}}`))
	if err != nil {
		t.Fatalf("read the header: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || len(body) != 5 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %d %q %v, want 200, five bytes and a broken end", resp.StatusCode, body, err)
	}
	if !w.hs.HasUser("bob") {
		t.Error("got no account, want the request to have taken effect")
	}
}
