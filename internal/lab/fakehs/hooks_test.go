// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

func TestRequestsAreRecordedByteForByte(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	body := "{\"a\" : 1,\r\n \"a\":2}\x00\xff"
	req, err := http.NewRequest("PUT", w.url+"/_matrix/client/v3/%41?x=%20", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Mark", "m")
	w.send(req)
	got := w.hs.Requests()
	if len(got) != 1 {
		t.Fatalf("got %d requests, want 1", len(got))
	}
	r := got[0]
	if r.Method != "PUT" || r.Path != "/_matrix/client/v3/%41" || r.Query != "x=%20" || string(r.Body) != body || r.Header.Get("X-Mark") != "m" {
		t.Errorf("got %+v, want the request as it was sent", r)
	}
	got[0].Body[0], got[0].Header = 'X', nil
	if again := w.hs.Requests(); string(again[0].Body) != body || again[0].Header.Get("X-Mark") != "m" {
		t.Error("got the recording changed through the copy, want it kept")
	}
	w.hs.ResetRecordings()
	if n := len(w.hs.Requests()); n != 0 {
		t.Errorf("got %d requests after a reset, want none", n)
	}
}

func TestIDServerCallsAreRecorded(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.is.answer(askPath, 400, `{"errcode":"M_X"}`)
	w.post(forNew[0], "", ask("b@example.org", ""))
	got := w.hs.IDServerCalls()
	if len(got) != 1 {
		t.Fatalf("got %d calls, want 1", len(got))
	}
	c := got[0]
	if c.Method != "POST" || c.URL != w.is.URL+askPath || c.ContentType != "application/json" ||
		!strings.Contains(string(c.Body), "b@example.org") || c.Status != 400 || string(c.Answer) != `{"errcode":"M_X"}` || c.Err != nil {
		t.Errorf("got %+v, want the call and its answer", c)
	}
	w.hs.ResetRecordings()
	if n := len(w.hs.IDServerCalls()); n != 0 {
		t.Errorf("got %d calls after a reset, want none", n)
	}
}

func TestAnIDServerThatHangsIsGivenUp(t *testing.T) {
	gate := make(chan struct{})
	is := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-gate }))
	defer is.Close()
	defer close(gate)
	name := strings.TrimPrefix(is.URL, "https://")
	w := serve(t, fakehs.New(fakehs.Options{
		TrustedIDServers: []string{name}, HTTPClient: is.Client(), IDServerTimeout: 20 * time.Millisecond,
	}))
	w.do("POST", r0+forNew[0], "", strings.ReplaceAll(ask("b@example.org", ""), "$IS", name)).wants(t, 500, "M_UNKNOWN")
	if calls := w.hs.IDServerCalls(); len(calls) != 1 || !errors.Is(calls[0].Err, context.DeadlineExceeded) {
		t.Errorf("got %+v, want one call that ran out of time", calls)
	}
}

func TestAddUserReplacesAndMoves(t *testing.T) {
	hs := fakehs.New(fakehs.Options{})
	if got, want := hs.AddUser("alice", "one", "A@x.example"), "@alice:localhost"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	hs.AddUser("alice", "two")
	hs.AddUser("nopass", "", "a@x.example")
	if hs.CheckPassword("alice", "one") || !hs.CheckPassword("alice", "two") || hs.CheckPassword("nopass", "") {
		t.Error("got the wrong passwords")
	}
	if a, b := hs.Emails("alice"), hs.Emails("nopass"); len(a) != 0 || len(b) != 1 || b[0] != "a@x.example" {
		t.Errorf("got %v and %v, want the address moved", a, b)
	}
	if got := hs.Emails("nobody"); got != nil {
		t.Errorf("got %v for nobody, want nothing", got)
	}
}

func TestNewPanicsOnABadExpression(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("got no panic, want one")
		}
	}()
	fakehs.New(fakehs.Options{AllowedLocal3PIDs: []string{"("}})
}

// The identity server asks the homeserver something before it answers: a lock held
// across the call would be a deadlock.
func TestNoLockIsHeldWhileTheIdentityServerIsAsked(t *testing.T) {
	var hs *fakehs.Server
	is := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		inner := httptest.NewRecorder()
		hs.ServeHTTP(inner, httptest.NewRequest("GET", "/_matrix/client/versions", nil))
		hs.AddUser("made", "meanwhile")
		_, _ = io.WriteString(w, fmt.Sprintf(`{"sid":"%d"}`, inner.Code))
	}))
	defer is.Close()
	name := strings.TrimPrefix(is.URL, "https://")
	hs = fakehs.New(fakehs.Options{TrustedIDServers: []string{name}, HTTPClient: is.Client()})
	w := serve(t, hs)
	w.do("POST", r0+forNew[0], "", strings.ReplaceAll(ask("b@example.org", ""), "$IS", name)).isJSON(t, `{"sid":"200"}`)
}

func TestConcurrentUse(t *testing.T) {
	w := newWorld(t, fakehs.Options{RegistrationEnabled: true, ResetMode: fakehs.ResetRemote})
	w.hs.AddUser("alice", "pw", "alice@example.org")
	w.is.validated("alice@example.org")
	id := w.session("/account/password", `{"new_password":"pw"}`)
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := map[int]int{}
	for range 16 {
		wg.Go(func() {
			// All in one session, and all after the same name.
			w.post("/account/password", "", `{"auth":`+emailAuth(id)+`}`).wants(t, 200, "")
			got := w.post("/register", "", `{"username":"bob","password":"pw","inhibit_login":true,"auth":{"type":"m.login.dummy"}}`)
			w.hs.Requests()
			w.hs.IDServerCalls()
			mu.Lock()
			defer mu.Unlock()
			taken[got.status]++
		})
	}
	wg.Wait()
	if taken[200] != 1 || taken[400] != 15 {
		t.Errorf("got %v, want one account and 15 refusals", taken)
	}
	if n := len(w.hs.IDServerCalls()); n != 16 {
		t.Errorf("got %d calls, want 16", n)
	}
}
