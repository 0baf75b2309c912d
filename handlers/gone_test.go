// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// TestClientThatIsGoneIsNoFailure: who hangs up must not look like a broken
// server in the metrics.
func TestClientThatIsGoneIsNoFailure(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r := newRig(t, opts)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		body := `{"client_secret":"s","email":"a@example.org","send_attempt":1}`
		req := httptest.NewRequest("POST", "/_matrix/client/r0/register/email/requestToken", strings.NewReader(body)).WithContext(ctx)
		if rec := r.send(req); rec.Code != 499 {
			t.Errorf("got %d %s, want 499", rec.Code, rec.Body)
		}
		if e := r.events.list[len(r.events.list)-1]; e.Status != 499 {
			t.Errorf("it is reported as %+v", e)
		}
	})
}

// TestTooLargeBodyEndsTheConnection: net/http would wait for more of the body
// before it answers, because what Caddy makes of w and of the body hides from it
// how large the body is.
func TestTooLargeBodyEndsTheConnection(t *testing.T) {
	for proto, want := range map[int]string{1: "close", 2: ""} {
		r := newRig(t, options{})
		req := httptest.NewRequest("POST", "/_matrix/client/r0/register", strings.NewReader(strings.Repeat("x", DefaultMaxBody+1)))
		req.ProtoMajor = proto
		rec := r.send(req)
		wantError(t, rec, http.StatusRequestEntityTooLarge, wire.CodeTooLarge)
		if got := rec.Header().Get("Connection"); got != want {
			t.Errorf("HTTP/%d: got Connection %q, want %q", proto, got, want)
		}
	}
}

// busy is an error that says when to come again.
type busy struct{}

func (busy) Error() string             { return "the queue is full" }
func (busy) RetryAfter() time.Duration { return 6500 * time.Millisecond }

// fullQueue is an outbox that takes nothing.
type fullQueue struct{ *heldOutbox }

func (fullQueue) Put(store.Txn, verification.Message) error { return busy{} }

// TestFullQueueTellsWhenToComeAgain: also where the refusal goes by way of the
// homeserver, which passes on its body and not its header.
func TestFullQueueTellsWhenToComeAgain(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		opts.service = func(c *verification.Config) { c.Outbox = fullQueue{&heldOutbox{}} }
		if before := opts.config; before != nil {
			opts.config = func(c *Config) { before(c); c.Reveal = true } // with decoys nothing is told, see TestF15_FullOutboxTellsNothing
		}
		rec := newRig(t, opts).do("POST", "/_matrix/client/r0/register/email/requestToken",
			`{"client_secret":"s","email":"a@example.org","send_attempt":1}`)
		wantError(t, rec, http.StatusServiceUnavailable, wire.CodeUnknown)
		if got, want := rec.Header().Get("Retry-After"), "7"; got != want {
			t.Errorf("got Retry-After %q, want %q", got, want)
		}
	})
}
