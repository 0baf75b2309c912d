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

	"github.com/caddy-threepid/caddy-threepid/internal/fakehs"
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
