// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what takes a moment.
const patience = 2 * time.Minute

// install is Install where it can work.
func install(t *testing.T) Env {
	t.Helper()
	env, err := Install(t.Context(), t.Logf)
	if errors.Is(err, ErrUnavailable) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), install(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of Kannel:\n%s", s.Logs())
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// accepted is what smsbox answers when bearerbox has the message.
const accepted = "0: Accepted for delivery"

// query is a message by GET, in UTF-8.
func query(s *Server, m Message) url.Values {
	coding := "0"
	if m.Unicode {
		coding = "2"
	}
	return url.Values{
		"username": {s.Username()}, "password": {s.Password()}, "from": {m.From}, "to": {m.To}, "text": {m.Text},
		"charset": {"UTF-8"}, "coding": {coding},
	}
}

func sendByGET(t *testing.T, s *Server, q url.Values) (status int, answer string) {
	t.Helper()
	status, body, err := get(t.Context(), s.SendSMSURL()+"?"+q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return status, string(body)
}

// sendByPOST sends the same in header fields and a body, the only POST besides
// XML that Kannel knows.
func sendByPOST(t *testing.T, s *Server, q url.Values) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.SendSMSURL(), strings.NewReader(q.Get("text")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain; charset="+q.Get("charset"))
	for _, name := range []string{"username", "password", "from", "to", "coding"} {
		req.Header.Set("X-Kannel-"+name, q.Get(name))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func mustSend(t *testing.T, s *Server, q url.Values) {
	t.Helper()
	if status, answer := sendByGET(t, s, q); status != http.StatusAccepted || answer != accepted {
		t.Fatalf("got %d %q, want %d %q", status, answer, http.StatusAccepted, accepted)
	}
}

func wait(t *testing.T, s *Server, n int) Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := s.Wait(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
