// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// flood writes one piece again and again until nobody reads it any more.
func flood(c net.Conn, piece string) {
	raw := []byte(piece) // once: what the doctor allocates is measured
	for {
		if _, err := c.Write(raw); err != nil {
			return
		}
	}
}

// bomb is a long text of spaces, compressed to almost nothing: one piece (RFC 1952,
// section 2.2: there may be several) again and again.
func bomb() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20)) // into memory
	_ = z.Close()
	return bytes.Repeat(b.Bytes(), 64)
}

// misbehaviours are servers that answer HTTP in ways that should not hurt. Each
// gets the connection after the request was read.
func misbehaviours() map[string]func(net.Conn) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	squeezed := bomb()
	return map[string]func(net.Conn){
		"garbage":            func(c net.Conn) { flood(c, "\x00\xff\x1b[2J garbage\r\n") },
		"endless header":     func(c net.Conn) { flood(c, head+"X-More: "+strings.Repeat("x", 1000)+"\r\n") },
		"endless line":       func(c net.Conn) { flood(c, strings.Repeat("x", 1000)) },
		"endless 1xx":        func(c net.Conn) { flood(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") },
		"endless body":       func(c net.Conn) { _, _ = io.WriteString(c, head+"\r\n"); flood(c, "[[[[[[[[") },
		"broken chunks":      func(c net.Conn) { _, _ = io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n") },
		"less than promised": func(c net.Conn) { _, _ = io.WriteString(c, head+"Content-Length: 100\r\n\r\n{}") },
		"two lengths":        func(c net.Conn) { _, _ = io.WriteString(c, head+"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}") },
		"deep JSON":          func(c net.Conn) { _, _ = io.WriteString(c, head+"\r\n"+strings.Repeat(`{"a":`, 12_000)) },
		"wrong types": func(c net.Conn) {
			_, _ = io.WriteString(c, head+"\r\n"+`{"proof":{},"versions":7,"unstable_features":[],"errcode":{},"error":0}`)
		},
		"a bomb": func(c net.Conn) {
			_, _ = fmt.Fprintf(c, "%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", head, len(squeezed), squeezed)
		},
		"no end of the header": func(c net.Conn) { _, _ = io.WriteString(c, head); silence(c) },
		"a drip": func(c net.Conn) {
			for _, b := range []byte(head) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
			silence(c)
		},
		"a year that is none": func(c net.Conn) {
			_, _ = io.WriteString(c, head+"Date: Thu, 01 Jan 0000 00:00:00 GMT\r\nContent-Length: 2\r\n\r\n{}")
		},
	}
}

// readRequest reads one request, with its body if it has one.
func readRequest(c net.Conn, then func(net.Conn)) {
	buf := make([]byte, 64<<10)
	var got []byte
	for !bytes.Contains(got, []byte("\r\n\r\n")) {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		got = append(got, buf[:n]...)
	}
	then(c)
}

// measured turns this program into one that runs the test of the same name and
// nothing else.
const measured = "DOCTOR_TEST_MEASURED"

// TestMisbehavingServers: whoever answers, the doctor ends by itself, with an
// error and without filling the memory. What is allocated is counted for the whole
// process, so this has one of its own, where nothing is left of other tests. Nothing
// here depends on how fast the machine is: the doctor reads up to a number of bytes,
// and waits for one step at a time, as neither a check nor the whole would end it.
func TestMisbehavingServers(t *testing.T) {
	if os.Getenv(measured) == "" {
		t.Parallel()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), measured+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || bytes.Count(out, []byte("    --- PASS")) != len(misbehaviours()) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for name, behave := range misbehaviours() {
		t.Run(name, func(t *testing.T) {
			address := serveRaw(t, func(c net.Conn) { readRequest(c, behave) })
			o := Options{
				PublicURL: "http://matrix.example.org", Client: client(newAuthority(t, "x"), to(address)),
				IdentityName: identityName, FaceCalls: func() uint64 { return 0 }, IdentityDial: to(closedPort),
				stepTimeout: 500 * time.Millisecond, CheckTimeout: time.Hour, Timeout: time.Hour,
			}
			for _, prove := range []func(string) string{prove, nil} {
				o.Prove = prove
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				r := Run(t.Context(), o)
				runtime.ReadMemStats(&after)
				if r.Worst() != Error || slices.Contains(codesOf(r), codeFailed) {
					t.Errorf("got %q", codesOf(r))
				}
				// The bomb alone is four times as much.
				if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
					t.Errorf("got %d MiB allocated", used>>20)
				}
				for _, f := range r.Findings {
					if strings.ContainsAny(f.Problem, "\x1b\x00\r\n") || len(f.Problem) > 1000 {
						t.Errorf("got the problem %q", f.Problem)
					}
				}
			}
		})
	}
}

// TestMisbehavingIdentitySite is the same for the connection that is made by
// hand.
func TestMisbehavingIdentitySite(t *testing.T) {
	t.Parallel()
	for name, behave := range misbehaviours() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t, "authority")
			cert := ca.issue(t, good("localhost"))
			address := serveRaw(t, func(c net.Conn) {
				tc := tlsServer(c, cert)
				readRequest(tc, behave)
				_ = tc.Close() // the test's peer may be gone
			})
			r := Run(t.Context(), Options{
				IdentityName: identityName, IdentityDial: to(address), IdentityRoots: ca.pool, stepTimeout: 500 * time.Millisecond,
			})
			if r.Worst() != Error || slices.Contains(codesOf(r), codeFailed) || slices.Contains(codesOf(r), codeTimedOut) {
				t.Errorf("got %+v", r.Findings)
			}
		})
	}
}

// TestSlowResolver: a name server that is slow is told from a missing record.
func TestSlowResolver(t *testing.T) {
	r := Run(t.Context(), Options{
		Resolver: stuck{}, stepTimeout: 200 * time.Millisecond,
		Domains: []Domain{{
			From: "example.org", DKIM: &DKIM{"example.org", "s1", dkimKey}, RelayHosts: []string{"mail.example.org"},
		}},
	})
	want := []string{codeDNSFailed, codeDNSFailed, codeDNSFailed, codeDNSFailed}
	if got := codesOf(r); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// stuck is a resolver that waits for its context.
type stuck struct{}

func (stuck) LookupTXT(ctx context.Context, _ string) ([]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (stuck) LookupMX(ctx context.Context, _ string) ([]*net.MX, error) {
	<-ctx.Done()
	return nil, &net.DNSError{Err: "i/o timeout", IsTimeout: true}
}

func (stuck) LookupHost(ctx context.Context, _ string) ([]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestRunsBesideEachOther: two people may ask at once, also while other clients
// use the server.
func TestRunsBesideEachOther(t *testing.T) {
	rig := newRig(t)
	o := rig.options()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if r := Run(t.Context(), o); r.Worst() != OK {
				t.Errorf("got %+v", r.Findings)
			}
		})
	}
	wg.Wait()
}

// TestOptionsAreNotChanged: they may be shared.
func TestOptionsAreNotChanged(t *testing.T) {
	o := newRig(t).options()
	o.Domains[0].From = "Example.ORG"
	key := *o.Domains[0].DKIM
	key.Domain = "EXAMPLE.org"
	o.Domains[0].DKIM = &key
	redirects := func(*http.Request, []*http.Request) error { return nil }
	o.Client.CheckRedirect = redirects
	if r := Run(t.Context(), o); r.Worst() != OK {
		t.Errorf("got %+v", r.Findings)
	}
	if o.Domains[0].From != "Example.ORG" || o.Domains[0].Envelope != "" || key.Domain != "EXAMPLE.org" || o.Client.CheckRedirect == nil {
		t.Errorf("got %+v", o.Domains[0])
	}
}
