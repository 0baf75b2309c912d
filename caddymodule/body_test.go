// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
)

// line is a connection as a handler sees it: it has a bound or none.
type line struct {
	*httptest.ResponseRecorder
	bound time.Time
}

// SetReadDeadline is what http.ResponseController looks for.
func (l *line) SetReadDeadline(t time.Time) error { l.bound = t; return nil }

// halfBody is a body of which there is never more to come.
type halfBody struct {
	t    *testing.T
	line *line
	read bool
}

func (b *halfBody) Read([]byte) (int, error) {
	if b.line.bound.IsZero() {
		b.t.Error("a body is read without a bound")
	}
	b.read = true
	return 0, io.ErrUnexpectedEOF
}

func (b *halfBody) Close() error { return nil }

// TestEveryBodyHasItsTime: those that are read, and those that are only answered,
// as net/http waits for the rest of them. What is passed on has none of ours.
func TestEveryBodyHasItsTime(t *testing.T) {
	s := newPhoneSite(t, "allow *")
	s.mustLoad(s.caddyfile(s.options(
		"mailer file {\npath "+s.path("outbox")+"\n}", "sms {\n"+s.sender("gateway")+"\nallow *\n}",
		"feedback {\nbounces bounces@example.test\nmailgun canary-hook-key-0123456789abcdef\npostmark hook canary-hook-password\n}",
	)...))
	app, err := caddymodule.Running()
	if err != nil {
		t.Fatal(err)
	}
	public := caddymodule.NewHandler(app)
	identity := caddymodule.NewIdentityHandler(app)
	for _, c := range []struct {
		name, method, path string
		to                 caddyhttp.MiddlewareHandler
		read, passed       bool
	}{
		{"a webhook", "POST", instance.FeedbackPath + "mailgun", public, true, false},
		{"a webhook without its password", "POST", instance.FeedbackPath + "postmark", public, false, false},
		{"a receipt without its tag", "POST", instance.ReceiptPath + "gateway", public, false, false},
		{"a homeserver", "POST", "/_matrix/identity/api/v1/validate/email/requestToken", identity, true, false},
		{"a path that a homeserver may not have", "POST", "/_matrix/identity/v2/lookup", identity, false, false},
		{"a registration", "POST", "/_matrix/client/v3/register", public, true, false},
		{"another spelling of it", "POST", "/_matrix/client/v3/register/", public, false, false},
		{"a message", "PUT", "/_matrix/client/v3/rooms/r/send/m.room.message/1", public, true, false},
		{"an upload", "POST", "/_matrix/media/v3/upload", public, false, true},
	} {
		w := &line{ResponseRecorder: httptest.NewRecorder()}
		body := &halfBody{t: t, line: w}
		r := httptest.NewRequest(c.method, c.path, body)
		r.ContentLength = 100
		r.RemoteAddr = "127.0.0.1:4000"
		passed := false
		err := c.to.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
			passed = true
			return nil
		}))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if body.read != c.read || passed != c.passed {
			t.Errorf("%s: got it read %v and passed on %v, want %v and %v", c.name, body.read, passed, c.read, c.passed)
		}
		if got := !w.bound.IsZero(); got == c.passed {
			t.Errorf("%s: got a bound %v at the end, want %v", c.name, got, !c.passed)
		}
	}
}
