// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// outcome is what of a SendError a caller acts on.
type outcome struct {
	reason               string
	status               int
	again, unsure, fault bool
	wait                 time.Duration
}

func outcomeOf(e *SendError) outcome {
	return outcome{e.Reason, e.Status, e.Again, e.Unsure, e.Fault, e.Wait}
}

func wantOutcome(t *testing.T, e *SendError, want outcome) {
	t.Helper()
	if got := outcomeOf(e); got != want {
		t.Errorf("got %+v (%v), want %+v", got, e, want)
	}
}

func simple(url string) HTTPConfig {
	return HTTPConfig{URL: url, Body: Body{Fields: []Field{{Name: "to", Value: "{to}"}, {Name: "text", Value: "{text}"}}}}
}

// What a gateway does to a connection, and whether the message may be out.
func TestHTTPLostRequests(t *testing.T) {
	reset := func(conn net.Conn) {
		if c, ok := conn.(*net.TCPConn); ok {
			_ = c.SetLinger(0)
		}
		_ = conn.Close()
	}
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
	for name, tt := range map[string]struct {
		talk func(net.Conn, *bufio.Reader)
		want outcome
	}{
		"hangs up at once": {func(c net.Conn, in *bufio.Reader) { _ = readRequest(in); _ = c.Close() }, outcome{reason: ReasonLost, again: true, unsure: true}},
		"resets":           {func(c net.Conn, in *bufio.Reader) { _ = readRequest(in); reset(c) }, outcome{reason: ReasonLost, again: true, unsure: true}},
		"ends in the middle of the head": {func(c net.Conn, in *bufio.Reader) {
			_ = readRequest(in)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n")
		}, outcome{reason: ReasonLost, again: true, unsure: true}},
		"ends in the middle of the answer": {func(c net.Conn, in *bufio.Reader) {
			_ = readRequest(in)
			_, _ = io.WriteString(c, head+`{"id":`)
		}, outcome{reason: ReasonLost, again: true, unsure: true}},
		"resets in the middle of the answer": {func(c net.Conn, in *bufio.Reader) {
			_ = readRequest(in)
			_, _ = io.WriteString(c, head+`{"id":`)
			reset(c)
		}, outcome{reason: ReasonLost, again: true, unsure: true}},
		"says no and ends in the middle": {func(c net.Conn, in *bufio.Reader) {
			_ = readRequest(in)
			_, _ = io.WriteString(c, strings.Replace(head, "200 OK", "401 Gossip", 1)+"x")
		}, outcome{reason: ReasonLost, again: true, unsure: true}},
		"does not speak HTTP": {func(c net.Conn, in *bufio.Reader) {
			_ = readRequest(in)
			_, _ = io.WriteString(c, "220 gossip ESMTP\r\n")
		}, outcome{reason: ReasonAnswer, again: true, unsure: true, fault: true}},
		"switches protocols": {func(c net.Conn, in *bufio.Reader) {
			_ = readRequest(in)
			_, _ = io.WriteString(c, "HTTP/1.1 101 Gossip\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
		}, outcome{reason: ReasonAnswer, again: true, unsure: true, fault: true}},
		"endless header": {func(c net.Conn, in *bufio.Reader) {
			_ = readRequest(in)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for range 1000 {
				if _, err := io.WriteString(c, "X-A: "+strings.Repeat("x", 100)+"\r\n"); err != nil {
					return
				}
			}
		}, outcome{reason: ReasonAnswer, again: true, unsure: true, fault: true}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHTTP(t, simple(listen(t, tt.talk)))
			wantOutcome(t, refusedBy(t, h, message()), tt.want)
		})
	}
}

// enough is time for a busy machine to get a request out, before it is up.
const enough = 2 * time.Second

// hang answers with a beginning, and nothing more.
func hang(beginning string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, in *bufio.Reader) {
		if readRequest(in) == nil {
			_, _ = io.WriteString(c, beginning)
			_, _ = in.ReadByte() // until the other side gives up
		}
	}
}

func TestHTTPHangs(t *testing.T) {
	t.Parallel()
	for name, beginning := range map[string]string{
		"silent": "", "head": "HTTP/1.1 200 OK\r\n", "answer": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := simple(listen(t, hang(beginning)))
			cfg.Timeout = enough
			wantOutcome(t, refusedBy(t, newHTTP(t, cfg), message()), outcome{reason: ReasonTimeout, again: true, unsure: true})
			cfg.Timeout = time.Minute
			ctx, cancel := context.WithTimeout(t.Context(), enough)
			defer cancel()
			_, err := newHTTP(t, cfg).Send(ctx, message())
			failed, _ := errors.AsType[*SendError](err)
			wantOutcome(t, failed, outcome{reason: ReasonTimeout, again: true, unsure: true})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want its cause in it", err)
			}
		})
	}
}

// A gateway that sends a byte now and then does not hold a worker for ever.
func TestHTTPDrips(t *testing.T) {
	t.Parallel()
	cfg := simple(listen(t, func(c net.Conn, in *bufio.Reader) {
		if readRequest(in) != nil {
			return
		}
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
		for err == nil {
			_, err = c.Write([]byte{'x'})
			time.Sleep(time.Millisecond)
		}
	}))
	cfg.Timeout = enough
	wantOutcome(t, refusedBy(t, newHTTP(t, cfg), message()), outcome{reason: ReasonTimeout, again: true, unsure: true})
}

func TestHTTPIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := newHTTP(t, simple(listen(t, func(_ net.Conn, in *bufio.Reader) {
		if readRequest(in) == nil {
			cancel()
			_, _ = in.ReadByte()
		}
	})))
	_, err := h.Send(ctx, message())
	failed, _ := errors.AsType[*SendError](err)
	wantOutcome(t, failed, outcome{reason: ReasonInterrupted, again: true, unsure: true})
	// Before anything was sent, it is certain that nothing was.
	_, err = h.Send(ctx, message())
	failed, _ = errors.AsType[*SendError](err)
	wantOutcome(t, failed, outcome{reason: ReasonInterrupted, again: true})
}

func TestHTTPNotReached(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	wantOutcome(t, refusedBy(t, newHTTP(t, simple("http://"+l.Addr().String())), message()), outcome{reason: ReasonRefused, again: true})
}

// What a look-up or a dial comes to, without asking a network.
func TestHTTPDialErrors(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "gossip.example", IsNotFound: true}}, ReasonDNS},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", Name: "gossip.example", IsTimeout: true}}, ReasonTimeout},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}, ReasonUnreachable},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, ReasonRefused},
		{&net.OpError{Op: "dial", Err: errPlain}, ReasonTLS},
		{errors.New("gossip"), ReasonLost},
	} {
		got := lost(t.Context(), t.Context(), tt.err, &witness{})
		if got.Reason != tt.want || !got.Again || got.Unsure {
			t.Errorf("%v: got %+v, want %s", tt.err, got, tt.want)
		}
		wantDiscreet(t, got)
	}
}

// Plain http goes to this machine only, whatever it is called.
func TestHTTPPlainOnlyToLoopback(t *testing.T) {
	want := outcome{reason: ReasonTLS, again: true, fault: true}
	for _, address := range []string{"http://192.0.2.1/", "http://[2001:db8::1]/", "http://0.0.0.0:1/"} {
		wantOutcome(t, refusedBy(t, newHTTP(t, simple(address)), message()), want)
	}
	for address, ok := range map[string]bool{
		"127.0.0.1:80": true, "127.9.9.9:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true, "0.0.0.0:80": false,
		"10.0.0.1:80": false, "[::ffff:10.0.0.1]:80": false, "[fe80::1]:80": false, "x": false,
	} {
		if err := onlyLoopback("tcp", address, nil); (err == nil) != ok {
			t.Errorf("%s: got %v, want ok %t", address, err, ok)
		}
	}
	if newTransport(HTTPConfig{AllowPlain: true}, "http").Proxy != nil {
		t.Error("it asks the environment for a proxy")
	}
}

func TestHTTPRedirects(t *testing.T) {
	var followed atomic.Int64
	inner := startDouble(t, func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308, 304, 300} {
		d := startDouble(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", inner.URL+"/gossip")
			w.WriteHeader(status)
		})
		wantOutcome(t, refusedBy(t, newHTTP(t, simple(d.URL)), message()), outcome{reason: ReasonRedirect, status: status, fault: true})
	}
	if followed.Load() != 0 {
		t.Errorf("it followed %d redirects", followed.Load())
	}
}

func TestHTTPLargeAnswers(t *testing.T) {
	large := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			for range 10 << 10 {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
					return
				}
			}
		}
	}
	for status, want := range map[int]outcome{
		200: {reason: ReasonAnswer, status: 200, again: true, unsure: true, fault: true},
		401: {reason: ReasonAuth, status: 401, fault: true},
		500: {reason: ReasonGateway, status: 500, again: true, unsure: true},
	} {
		wantOutcome(t, refusedBy(t, newHTTP(t, simple(startDouble(t, large(status)).URL)), message()), want)
	}
	// At the limit it is read, one byte more is too much.
	for size, ok := range map[int]bool{maxAnswer: true, maxAnswer + 1: false} {
		d := startDouble(t, says(http.StatusOK, strings.Repeat("x", size)))
		if _, err := newHTTP(t, simple(d.URL)).Send(t.Context(), message()); (err == nil) != ok {
			t.Errorf("%d bytes: got %v", size, err)
		}
	}
	// A bomb is not unpacked.
	d := startDouble(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, `{"ok":true}`)
	})
	cfg := simple(d.URL)
	cfg.Success = Match{Pointer: "/ok", Values: []string{"true"}}
	if _, err := newHTTP(t, cfg).Send(t.Context(), message()); err != nil {
		t.Error(err)
	}
}

func TestHTTPTLS(t *testing.T) {
	var served atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	defer server.Close()
	old := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	old.Config.ErrorLog = quiet()
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	plain := startDouble(t, func(http.ResponseWriter, *http.Request) { served.Add(1) })
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	pool.AddCert(old.Certificate())
	fails := outcome{reason: ReasonTLS, again: true, fault: true}
	for name, tt := range map[string]struct {
		url   string
		cas   *x509.CertPool
		cause error
	}{
		"unknown authority": {server.URL, nil, errUnknownIssuer},
		"other name":        {strings.Replace(server.URL, "127.0.0.1", "localhost", 1), pool, errOtherName},
		"TLS 1.1":           {old.URL, pool, errHandshake},
		"no TLS":            {strings.Replace(plain.URL, "http:", "https:", 1), pool, errHandshake},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := simple(tt.url)
			cfg.CAs = tt.cas
			got := refusedBy(t, newHTTP(t, cfg), message())
			wantOutcome(t, got, fails)
			if !errors.Is(got, tt.cause) {
				t.Errorf("got %v, want %v", got.Err, tt.cause)
			}
		})
	}
	if served.Load() != 0 {
		t.Errorf("got %d requests over connections that are not to be trusted", served.Load())
	}
	cfg := simple(server.URL)
	cfg.CAs = pool
	h := newHTTP(t, cfg)
	for range 2 {
		if _, err := h.Send(t.Context(), message()); err != nil {
			t.Error(err)
		}
	}
	if served.Load() != 2 {
		t.Errorf("got %d requests, want 2", served.Load())
	}
}

func TestHandshakeCauses(t *testing.T) {
	for _, tt := range []struct{ err, want error }{
		{x509.CertificateInvalidError{Reason: x509.Expired, Detail: "gossip"}, errExpired},
		{x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}, errCertificate},
		{errors.New("gossip"), errHandshake},
	} {
		w := &witness{}
		w.handshake.Store(&tt.err)
		if got := lost(t.Context(), t.Context(), tt.err, w); !errors.Is(got, tt.want) {
			t.Errorf("%v: got %v, want %v", tt.err, got, tt.want)
		}
	}
}

// A TLS connection that ends after the request leaves open what came of it.
func TestHTTPLostOverTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	defer server.Close()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	cfg := simple(server.URL)
	cfg.CAs = pool
	wantOutcome(t, refusedBy(t, newHTTP(t, cfg), message()), outcome{reason: ReasonLost, again: true, unsure: true})
}
