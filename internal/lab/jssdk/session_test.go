// SPDX-License-Identifier: Apache-2.0

package jssdk

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestCallReturns(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_matrix/client/v3/logout" {
			w.WriteHeader(http.StatusOK) // with nothing that JSON could be read from
			return
		}
		respondJSON(w, 200, `{"user_id": "@ada:example.test", "bearer": "`+r.Header.Get("Authorization")+`"}`)
	})
	s := start(t, Options{BaseURL: srv.URL})
	raw, err := s.Call(t.Context(), "whoami")
	if got, want := string(raw), `{"user_id":"@ada:example.test","bearer":""}`; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	for _, token := range []string{"first", "second"} {
		c, err := s.NewClient(t.Context(), ClientOptions{BaseURL: srv.URL + "/", AccessToken: token, UserID: "@ada:example.test"})
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Bearer string }
		if err := c.CallInto(t.Context(), &got, "whoami"); err != nil || got.Bearer != "Bearer "+token {
			t.Errorf("got %+v, %v; want the client's own token %q", got, err, token)
		}
		raw, err := c.Call(t.Context(), "getAccessToken") // which returns no promise
		if string(raw) != strconv.Quote(token) || err != nil {
			t.Errorf("getAccessToken: got %s, %v", raw, err)
		}
		if raw, err := c.Call(t.Context(), "setAccessToken", nil); string(raw) != "null" || err != nil {
			t.Errorf("a method without a result: got %s, %v", raw, err)
		}
		if raw, err := c.Call(t.Context(), "getIdentityServerUrl", true); string(raw) != "null" || err != nil {
			t.Errorf("undefined: got %s, %v", raw, err)
		}
		if err := c.CallInto(t.Context(), &got, "getDomain"); err == nil || !strings.Contains(err.Error(), "decode") {
			t.Errorf("a string into a struct: got error %v", err)
		}
	}
	var failed *SDKError
	if _, err := s.Call(t.Context(), "logout"); !errors.As(err, &failed) || failed.Errcode != "" {
		t.Errorf("no JSON: got error %v, want the SDK's", err)
	}
}

func TestErrorsAreMapped(t *testing.T) {
	answers := map[string]func(w http.ResponseWriter){
		"matrix": func(w http.ResponseWriter) { respondJSON(w, 403, `{"errcode": "M_FORBIDDEN", "error": "no"}`) },
		"uia":    func(w http.ResponseWriter) { respondJSON(w, 401, `{"session": "s", "flows": [{"stages": ["x"]}]}`) },
		"html":   func(w http.ResponseWriter) { respond(w, 502, "text/html", "<h1>Bad Gateway</h1>") },
		"text":   func(w http.ResponseWriter) { respond(w, 429, "text/plain", "slow down") },
		"limited": func(w http.ResponseWriter) {
			respondJSON(w, 429, `{"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 5}`)
		},
		"cut off": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	}
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for name, answer := range answers {
			if strings.Contains(string(body), name) {
				answer(w)
			}
		}
	})
	s := start(t, Options{BaseURL: srv.URL})
	for _, tc := range []struct {
		name, wantName, wantErrcode, wantText string
		wantStatus                            int
	}{
		{"matrix", "M_FORBIDDEN", "M_FORBIDDEN", "no", 403},
		{"uia", "Unknown error code", "", "Unknown message", 401},
		{"html", "Error", "", "Server returned 502 error", 502},
		{"text", "Error", "", "slow down", 429},
		{"limited", "M_LIMIT_EXCEEDED", "M_LIMIT_EXCEEDED", "", 429},
		{"cut off", "ConnectionError", "", "other side closed", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw, err := s.Call(t.Context(), "registerRequest", map[string]string{"username": tc.name})
			var got *SDKError
			if !errors.As(err, &got) {
				t.Fatalf("got %s, %v; want an *SDKError", raw, err)
			}
			if got.Name != tc.wantName || got.Errcode != tc.wantErrcode || got.HTTPStatus != tc.wantStatus {
				t.Errorf("got %+v, want %q, %q, %d", got, tc.wantName, tc.wantErrcode, tc.wantStatus)
			}
			if !strings.Contains(err.Error(), tc.wantText) || !strings.Contains(err.Error(), "registerRequest") {
				t.Errorf("got message %q, want %q and the method in it", err, tc.wantText)
			}
			if tc.name == "uia" && (got.Text("session") != "s" || len(got.Data["flows"].([]any)) != 1 || got.Text("flows") != "") {
				t.Errorf("got data %v", got.Data)
			}
		})
	}
}

func TestUnknownMethod(t *testing.T) {
	s := start(t, Options{BaseURL: "http://127.0.0.1:1"})
	for _, name := range []string{"noSuchMethod", "constructor", "baseUrl", "__proto__", ""} {
		if raw, err := s.Call(t.Context(), name); !errors.Is(err, ErrUnknownMethod) {
			t.Errorf("%q: got %s, %v; want ErrUnknownMethod", name, raw, err)
		}
	}
	lost := &Client{session: s, handle: "client 99"}
	if _, err := lost.Call(t.Context(), "whoami"); !errors.Is(err, ErrUnknownHandle) {
		t.Errorf("no such client: got %v, want ErrUnknownHandle", err)
	}
	if _, err := start(t, Options{}).Call(t.Context(), "whoami"); !errors.Is(err, ErrUnknownHandle) {
		t.Errorf("no client at all: got %v, want ErrUnknownHandle", err)
	}
	if _, err := s.Call(t.Context(), "whoami", make(chan int)); err == nil || errors.Is(err, ErrEnded) {
		t.Errorf("not JSON: got %v", err)
	}
}

// TestCallsRunSideBySide answers nobody before everybody has asked.
func TestCallsRunSideBySide(t *testing.T) {
	const calls = 8
	var arrived sync.WaitGroup
	arrived.Add(calls)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived.Done()
		arrived.Wait()
		respondJSON(w, 200, string(body))
	})
	s := start(t, Options{BaseURL: srv.URL})
	var group sync.WaitGroup
	for i := range calls {
		group.Go(func() {
			// The argument is larger than the pipe, so that lines could mix.
			want := strconv.Itoa(i) + strings.Repeat("x", 100<<10)
			raw, err := s.Call(t.Context(), "registerRequest", map[string]string{"username": want})
			if got := string(raw); err != nil || got != `{"username":"`+want+`"}` {
				t.Errorf("call %d: got %.30s, %v; want its own answer", i, got, err)
			}
		})
	}
	group.Wait()
}

func TestCallGivesUpWithItsContext(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_matrix/client/v3/account/whoami" {
			entered <- struct{}{}
			<-leave
		}
		respondJSON(w, 200, `{"versions": []}`)
	})
	s := start(t, Options{BaseURL: srv.URL})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if _, err := s.Call(ctx, "whoami"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	close(leave) // and its late answer disturbs nobody
	if raw, err := s.Call(t.Context(), "getVersions"); err != nil || string(raw) != `{"versions":[]}` {
		t.Errorf("afterwards: got %s, %v", raw, err)
	}
}
