// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// build makes the program once for all tests.
var build = sync.OnceValues(func() (string, error) { return stack.Build(context.Background()) })

// world is what a test disturbs.
type world struct {
	*stack.Stack
	t      *testing.T
	client *stack.Client
}

// newWorld starts everything in dir, with the double of Synapse.
func newWorld(t *testing.T, dir string) *world {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.Start(t.Context(), stack.Options{Dir: dir, Caddy: bin, Callback: true})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{s, t, s.Client()}
	t.Cleanup(func() {
		s.Stop()
		for _, word := range []string{"panic", "SIGBUS", "fatal error"} {
			if logs := s.Caddy.Logs(); strings.Contains(logs, word) {
				t.Errorf("the log tells of a %s:\n%s", word, logs[max(0, strings.Index(logs, word)-500):])
			}
		}
	})
	// The homeserver can ask only when Caddy has made its certificate.
	eventually(t, "the homeserver-facing side", func() bool { return w.open("first", "first@example.test").Status == http.StatusOK })
	return w
}

// eventually waits until something works: it is asked over and over.
func eventually(t *testing.T, what string, works func() bool) {
	t.Helper()
	for range int(patience / (100 * time.Millisecond)) {
		if works() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s does not work", what)
}

func (w *world) post(path, token string, body any) stack.Answer {
	w.t.Helper()
	a, err := w.client.Do(w.t.Context(), http.MethodPost, path, token, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// open asks for a token to register with.
func (w *world) open(secret, email string) stack.Answer {
	w.t.Helper()
	a, err := w.client.RequestToken(w.t.Context(), "r0", "register", secret, email)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// mustOpen returns the sid of a session and the link of its mail.
func (w *world) mustOpen(secret, email string) (sid, link string) {
	w.t.Helper()
	a := w.open(secret, email)
	if a.Status != http.StatusOK || a.Text("sid") == "" {
		w.t.Fatalf("got %d %s, want a sid", a.Status, a.Body)
	}
	return a.Text("sid"), w.link(email)
}

// link waits for the mail to an address.
func (w *world) link(email string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	m, err := w.Inbox.WaitFor(ctx, email)
	if err != nil {
		w.t.Fatalf("no mail: %v", err)
	}
	link, ok := m.Link()
	if !ok {
		w.t.Fatal("the mail has no link")
	}
	return link
}

// click confirms as a person does, who reads before pressing.
func (w *world) click(link string) (page, confirmed stack.Answer) {
	w.t.Helper()
	page, confirmed, err := w.client.ClickSlowly(w.t.Context(), link, 1100*time.Millisecond)
	if err != nil {
		w.t.Fatal(err)
	}
	return page, confirmed
}

func (w *world) register(name, sid, secret string) stack.Answer {
	w.t.Helper()
	return w.post("/_matrix/client/r0/register", "", stack.Object{
		"username": name, "password": "p", "auth": stack.EmailAuth("", stack.Creds(sid, secret)),
	})
}

// goodUser shows that everything works: somebody registers.
func (w *world) goodUser(name string) {
	w.t.Helper()
	email := name + "@example.test"
	sid, link := w.mustOpen("secret", email)
	if _, confirmed := w.click(link); confirmed.Status != http.StatusOK {
		w.t.Fatalf("the link: got %d %s", confirmed.Status, confirmed.Body)
	}
	if a := w.register(name, sid, "secret"); a.Status != http.StatusOK {
		w.t.Fatalf("register: got %d %s", a.Status, a.Body)
	}
}

// wantHonest checks an answer that tells of a failure of ours.
func wantHonest(t *testing.T, what string, a stack.Answer) {
	t.Helper()
	if a.Status < 500 || a.Text("errcode") == "" && !strings.Contains(a.Body, "<html") {
		t.Errorf("%s: got %d %s, want a 5xx that a client understands", what, a.Status, a.Body)
	}
	for _, leak := range []string{"no space", "badger", "/store"} {
		if strings.Contains(strings.ToLower(a.Body), leak) {
			t.Errorf("%s: the client is told of %q: %s", what, leak, a.Body)
		}
	}
}
