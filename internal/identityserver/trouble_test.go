// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakeis"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
)

// trouble is what can go wrong at a server that nobody vouches for. Every call
// must come to an end with ErrUnavailable, and Probe as said.
var trouble = []struct {
	name   string
	inject func(*fakeis.Server)
	change func(*Options)
	reason string // part of the error
	alive  bool   // for Probe
}{
	{"hangs", func(s *fakeis.Server) { _ = s.HangNext(1) }, func(o *Options) { o.Outbound.Timeout, o.ProbeTimeout = 50*time.Millisecond, 50*time.Millisecond }, "in time", false},
	{"page", func(s *fakeis.Server) { s.HTMLNext(1, 200) }, nil, "answers 200 without", true},
	{"page for an error", func(s *fakeis.Server) { s.HTMLNext(1, 500) }, nil, "answers 500 without", true},
	{"redirect", func(s *fakeis.Server) { s.RedirectNext(1, http.StatusTemporaryRedirect) }, nil, "redirects", true},
	{"permanent redirect", func(s *fakeis.Server) { s.RedirectNext(1, http.StatusPermanentRedirect) }, nil, "redirects", true},
	{"10 MB", func(s *fakeis.Server) { s.OversizeNext(1, 10<<20) }, nil, "too large", true},
	{"10 MB, announced", func(s *fakeis.Server) {
		s.Inject(1, nil, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Length", strconv.Itoa(10<<20))
			_, _ = w.Write([]byte(`{"medium":"email","address":"a@b.example"}`))
		})
	}, nil, "too large", true},
	{"cut", func(s *fakeis.Server) { s.CutNext(1) }, nil, "connection broke", true},
	{"no header", func(s *fakeis.Server) {
		s.Inject(1, nil, func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
	}, nil, "connection broke", false},
	{"unknown status", func(s *fakeis.Server) { s.FailNext(1, 600, "M_UNKNOWN", "") }, nil, "connection broke", false},
	{"endless header", func(s *fakeis.Server) {
		s.Inject(1, nil, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("X-Padding", strings.Repeat("x", 1<<20))
		})
	}, nil, "connection broke", false},
	{"dead", func(s *fakeis.Server) { s.Close() }, nil, "cannot be connected to", false},
	{"unknown authority", nil, func(o *Options) { o.Outbound.RootCAs = x509.NewCertPool() }, "certificate", false},
	{"does not resolve", nil, func(o *Options) {
		o.Outbound.Dial = func(context.Context, netip.AddrPort) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: address}
		}
	}, "does not resolve", false},
	{"dial timeout", nil, func(o *Options) {
		o.Outbound.DialTimeout = 20 * time.Millisecond
		o.Outbound.Dial = func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}, "in time", false},
	{"plain text", nil, func(o *Options) {
		o.Outbound.Dial = func(context.Context, netip.AddrPort) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				_, _ = server.Read(make([]byte, 4096))
				_, _ = server.Write([]byte("HTTP/1.0 400 Bad Request\r\n\r\n" + secret))
				_ = server.Close()
			}()
			return client, nil
		}
	}, "TLS", false},
	{"other protocol", nil, func(o *Options) {
		o.Outbound.Dial = func(context.Context, netip.AddrPort) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				_, _ = server.Read(make([]byte, 4096))
				_, _ = server.Write([]byte("SSH-2.0-" + secret + "\r\n"))
				_ = server.Close()
			}()
			return client, nil
		}
	}, "TLS", false},
}

func TestTrouble(t *testing.T) {
	calls := map[string]func(context.Context, *fixture) error{
		"bind": func(ctx context.Context, f *fixture) error {
			bound, err := f.client.Bind(ctx, f.name, token, bind)
			if bound != (Bound{}) {
				t.Errorf("got %v beside %v", bound, err)
			}
			return err
		},
		"unbind": func(ctx context.Context, f *fixture) error { return f.client.Unbind(ctx, f.name, unbind) },
		"probe":  func(ctx context.Context, f *fixture) error { return f.client.Probe(ctx, f.name) },
	}
	for _, tt := range trouble {
		for method, call := range calls {
			t.Run(tt.name+"/"+method, func(t *testing.T) {
				f := newFixture(t, tt.change)
				f.SetBinding("email", address, user)
				if tt.inject != nil {
					tt.inject(f.Server)
				}
				err := call(t.Context(), f)
				if method == "probe" && tt.alive {
					if err != nil {
						t.Errorf("got %v, want a sign of life", err)
					}
				} else {
					checkOutcome(t, err, ErrUnavailable)
					if err != nil && !strings.Contains(err.Error(), tt.reason) {
						t.Errorf("got %q, want %q in it", err, tt.reason)
					}
				}
				if f.Redirected() != 0 || len(f.Requests()) > 1 {
					t.Errorf("got %d requests and %d visitors elsewhere, want one request at most", len(f.Requests()), f.Redirected())
				}
				if got := f.Lookup("email", address); got != user {
					t.Errorf("bound to %q, want %q", got, user)
				}
			})
		}
	}
}

// TestCancelled: the caller's own end is in the chain, for those who care.
func TestCancelled(t *testing.T) {
	f := newFixture(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.client.Bind(ctx, f.name, token, bind)
	checkOutcome(t, err, ErrUnavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled in the chain", err)
	}
}

// TestSurvivesTrouble: nothing of a broken call is left over for the next one.
func TestSurvivesTrouble(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Outbound.Timeout = 5 * time.Second })
	f.CutNext(1)
	f.OversizeNext(1, 1<<20)
	for range 2 {
		_, err := f.client.Bind(t.Context(), f.name, token, bind)
		checkOutcome(t, err, ErrUnavailable)
	}
	if bound, err := f.client.Bind(t.Context(), f.name, token, bind); err != nil || bound.Address != address {
		t.Errorf("got %v, %v, want the binding", bound, err)
	}
}

// TestEcho: a server that throws everything it was sent back, in every place that
// it controls, gets none of it into an error.
func TestEcho(t *testing.T) {
	f := newFixture(t, nil)
	for status, form := range map[int]string{
		400: `{"errcode":%q,"error":%q}`, 500: `%s%s`, 200: `{"medium":%q,"x":%q}`, 404: `{"errcode":"m_%s","error":%q}`,
	} {
		everything := strings.Join([]string{token, secret, address, user, string(bind.SID)}, " ")
		f.AnswerNext(2, status, "application/json", strings.NewReplacer("%q", `"`+everything+`"`, "%s", everything).Replace(form))
		_, err := f.client.Bind(t.Context(), f.name, token, bind)
		checkQuiet(t, err)
		if err := f.client.Unbind(t.Context(), f.name, unbind); err != nil {
			checkQuiet(t, err)
		}
	}
	// In the status line, where net/http quotes it.
	f.Inject(1, nil, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = buf.WriteString("HTTP/1.1 " + token + " " + secret + "\r\n\r\n")
		_ = buf.Flush()
		_ = conn.Close()
	})
	_, err := f.client.Bind(t.Context(), f.name, token, bind)
	checkOutcome(t, err, ErrUnavailable)
	// The test would be for nothing if the cause did not quote it.
	if cause, ok := errors.AsType[*url.Error](err); !ok || !strings.Contains(cause.Error(), token) {
		t.Errorf("control: the cause %v does not quote the server", cause)
	}
}

func TestProbe(t *testing.T) {
	f := newFixture(t, nil)
	if err := f.client.Probe(t.Context(), f.name); err != nil {
		t.Errorf("got %v", err)
	}
	r := f.Requests()[0]
	if r.Method != http.MethodGet || r.Path != "/_matrix/identity/v2" || r.Header.Get("Authorization") != "" {
		t.Errorf("got %s %s with %v", r.Method, r.Path, r.Header)
	}
	for _, status := range []int{204, 400, 401, 404, 429, 500, 503} {
		f.AnswerNext(1, status, "text/plain", "")
		if err := f.client.Probe(t.Context(), f.name); err != nil {
			t.Errorf("%d: got %v, want a sign of life", status, err)
		}
	}
	checkOutcome(t, f.client.Probe(t.Context(), outbound.Name{}), outbound.ErrName)
	strict := newFixture(t, func(o *Options) { o.Outbound.Allow = nil })
	checkOutcome(t, strict.client.Probe(t.Context(), strict.name), outbound.ErrForbiddenAddress)
}
