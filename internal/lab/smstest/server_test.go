// SPDX-License-Identifier: Apache-2.0

package smstest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func post(t *testing.T, s *Server, method, token, contentType, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

const good = `{"id":"1","to":"447400123456","text":"Your code is 123456."}`

func start(t *testing.T) *Server {
	t.Helper()
	s, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestRefusals(t *testing.T) {
	s := start(t)
	for name, c := range map[string]struct {
		method, token, kind, body string
		want                      int
	}{
		"right":         {"POST", "Bearer " + Token, "application/json", good, 201},
		"method":        {"PUT", "Bearer " + Token, "application/json", good, 405},
		"no token":      {"POST", "", "application/json", good, 401},
		"wrong token":   {"POST", "Bearer x", "application/json", good, 401},
		"form":          {"POST", "Bearer " + Token, "application/x-www-form-urlencoded", good, 415},
		"plus":          {"POST", "Bearer " + Token, "application/json", strings.Replace(good, "4474", "+4474", 1), 422},
		"unknown field": {"POST", "Bearer " + Token, "application/json", strings.Replace(good, "id", "ident", 1), 422},
		"no text":       {"POST", "Bearer " + Token, "application/json", `{"id":"1","to":"447400123456"}`, 422},
	} {
		if got := post(t, s, c.method, c.token, c.kind, c.body); got != c.want {
			t.Errorf("%s: got status %d, want %d", name, got, c.want)
		}
	}
	if got := len(s.All()); got != 1 {
		t.Errorf("%d messages were kept, want 1", got)
	}
}

func TestWaitFor(t *testing.T) {
	s := start(t)
	found := make(chan Message, 1)
	go func() {
		m, err := s.WaitFor(t.Context(), "447400123456")
		if err != nil {
			t.Error(err)
		}
		found <- m
	}()
	post(t, s, "POST", "Bearer "+Token, "application/json", good)
	if code, ok := (<-found).Code(); !ok || code != "123456" {
		t.Errorf("got code %q, %v", code, ok)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.WaitFor(ctx, "447400123456"); err == nil {
		t.Error("the same message was returned again")
	}
}

func TestFault(t *testing.T) {
	s := start(t)
	s.SetFault(func(Message) int { return http.StatusServiceUnavailable })
	if got := post(t, s, "POST", "Bearer "+Token, "application/json", good); got != 503 {
		t.Errorf("got status %d, want 503", got)
	}
	s.SetFault(nil)
	if got := post(t, s, "POST", "Bearer "+Token, "application/json", good); got != 201 || len(s.All()) != 1 {
		t.Errorf("got status %d and %d messages, want 201 and 1", got, len(s.All()))
	}
}
