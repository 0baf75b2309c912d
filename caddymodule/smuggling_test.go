// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// tap stands before a homeserver and keeps every byte that it is sent, by
// connection.
type tap struct {
	net.Listener
	mu    sync.Mutex
	bytes []*bytes.Buffer
}

func newTap(t *testing.T, upstream string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			go p.relay(conn, strings.TrimPrefix(upstream, "http://"))
		}
	}()
	return p
}

func (p *tap) relay(conn net.Conn, upstream string) {
	defer conn.Close()
	back, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	defer back.Close()
	seen := &bytes.Buffer{}
	p.mu.Lock()
	p.bytes = append(p.bytes, seen)
	p.mu.Unlock()
	go func() { _, _ = io.Copy(conn, back) }() // until either end closes
	buf := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buf)
		p.mu.Lock()
		seen.Write(buf[:n])
		p.mu.Unlock()
		if n > 0 {
			if _, err := back.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// streams returns what was sent so far.
func (p *tap) streams() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.bytes {
		all = append(all, b.String())
	}
	return all
}

// smuggled is a request inside another one's body.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\nX: "

// ambiguous are header fields and bodies whose end can be seen at two places.
var ambiguous = map[string]struct{ header, body string }{
	"length before chunks":      {"Content-Length: 48\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + smuggled},
	"chunks before length":      {"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "2c\r\n" + smuggled + strings.Repeat("y", 44-len(smuggled)) + "\r\n0\r\n\r\n"},
	"two lengths":               {"Content-Length: 2\r\nContent-Length: 50\r\n", "{}" + smuggled},
	"two lengths, longer first": {"Content-Length: 50\r\nContent-Length: 2\r\n", "{}" + smuggled},
	"two lengths in one":        {"Content-Length: 2, 50\r\n", "{}" + smuggled},
	"the same length twice":     {"Content-Length: 2\r\nContent-Length: 2\r\n", "{}"},
	"length with a sign":        {"Content-Length: +2\r\n", "{}" + smuggled},
	"length in hexadecimal":     {"Content-Length: 0x2\r\n", "{}" + smuggled},
	"negative length":           {"Content-Length: -1\r\n", "{}" + smuggled},
	"folded coding":             {"Content-Length: 48\r\nTransfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n" + smuggled},
	"folded length":             {"X: y\r\n Content-Length: 48\r\nContent-Length: 2\r\n", "{}" + smuggled},
	"folded at the beginning":   {" X: y\r\nContent-Length: 2\r\n", "{}" + smuggled},
	"space before the colon":    {"Content-Length: 2\r\nTransfer-Encoding : chunked\r\n", "0\r\n\r\n" + smuggled},
	"unknown coding":            {"Content-Length: 2\r\nTransfer-Encoding: xchunked\r\n", "{}" + smuggled},
	"two codings":               {"Content-Length: 48\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n" + smuggled},
	"coding in a list":          {"Content-Length: 48\r\nTransfer-Encoding: identity, chunked\r\n", "0\r\n\r\n" + smuggled},
	"vertical tab":              {"Content-Length: 48\r\nTransfer-Encoding: \vchunked\r\n", "0\r\n\r\n" + smuggled},
	"bare line feeds":           {"Content-Length: 2\nTransfer-Encoding: chunked\n", "0\r\n\r\n" + smuggled},
	"bare carriage return":      {"Content-Length: 48\r\nX: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + smuggled},
	"chunk size with a sign":    {"Transfer-Encoding: chunked\r\n", "+2\r\n{}\r\n0\r\n\r\n" + smuggled},
	"chunk size too large":      {"Transfer-Encoding: chunked\r\n", "10000000000000002\r\n{}\r\n0\r\n\r\n" + smuggled},
	"line feed in an extension": {"Transfer-Encoding: chunked\r\n", "2;\n{}\r\n0\r\n\r\n" + smuggled},
	"length in the trailer":     {"Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n", "2\r\n{}\r\n0\r\nContent-Length: 48\r\n\r\n" + smuggled},
	"length of a connection":    {"Content-Length: 2\r\nConnection: close, Content-Length\r\n", "{}" + smuggled},
	"version 1.0 and chunks":    {"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", "0\r\n\r\n" + smuggled},
}

// Twisted CVE-2020-10108 and -10109: a proxy and a homeserver that do not agree
// where a request ends. What is ambiguous is refused, or forwarded with one
// length of its own, whether we rewrite the body or pass it on.
func TestAdvisory29_NoRequestHidesInAnother(t *testing.T) {
	hs, upstream := homeserver(t, fakehs.Options{})
	p := newTap(t, upstream)
	s := newSite(t, "http://"+p.Addr().String())
	s.mustLoad(s.simple())
	for name, c := range ambiguous {
		version := "1.1"
		if strings.Contains(name, "1.0") {
			version = "1.0"
		}
		for _, path := range []string{
			"/_matrix/client/r0/register", "/_matrix/client/v3/account/password", "/_matrix/client/r0/register/email/requestToken",
			"/_matrix/client/r0/account/deactivate", "/_matrix/client/r0/createRoom", "/_matrix/media/r0/upload",
		} {
			answer := s.raw("POST " + path + " HTTP/" + version + "\r\nHost: x\r\n" + c.header + "\r\n" + c.body)
			if answer == "" || !strings.HasPrefix(answer, "HTTP/1.") {
				t.Errorf("%s, %s: got %q for an answer", name, path, answer)
			}
		}
	}
	// That the reader below finds requests at all.
	s.open("secret", "a@example.test")
	if a, err := s.client.Do(t.Context(), "POST", "/_matrix/client/r0/createRoom", "", map[string]any{}); err != nil || a.Status == http.StatusBadGateway {
		t.Fatalf("got %d (%v)", a.Status, err)
	}
	total := 0
	for _, stream := range p.streams() {
		n, err := readStrictly(stream)
		if err != nil {
			t.Errorf("%v, in\n%s", err, stream)
		}
		total += n
	}
	// Fewer are those whose client broke off in the middle of a body.
	if got := len(hs.Requests()); got == 0 || got > total {
		t.Errorf("the homeserver has read %d requests where Caddy has written %d", got, total)
	}
	for _, req := range hs.Requests() {
		if strings.Contains(req.Path, "smuggled") {
			t.Errorf("the homeserver has read %s", req.Path)
		}
	}
}

func TestReadStrictlyFindsWhatIsHidden(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nVia: 1.1 Caddy\r\nX-Forwarded-For: 127.0.0.1\r\n"
	for name, stream := range map[string]string{
		"a second request":    head + "Content-Length: 2\r\n\r\n{}" + smuggled + "\r\n\r\n",
		"after the chunks":    head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled + "\r\n\r\n",
		"two lengths":         head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"length and chunks":   head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a folded line":       head + "X: y\r\n z\r\n\r\n",
		"a bare line feed":    head + "X: y\n\r\n",
		"an unknown coding":   head + "Transfer-Encoding: gzip\r\n\r\n",
		"a length with signs": head + "Content-Length: +2\r\n\r\n{}",
	} {
		if n, err := readStrictly(stream); err == nil {
			t.Errorf("%s: got %d requests and no error", name, n)
		}
	}
	good := head + "Content-Length: 2\r\n\r\n{}" + head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + head + "\r\n"
	if n, err := readStrictly(good); err != nil || n != 3 {
		t.Errorf("got %d requests (%v), want 3", n, err)
	}
}

// raw sends bytes over a connection of its own, and returns what comes back
// until the server closes it, or has nothing more to say.
func (s *site) raw(request string) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.public))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience)) // it is a TCP connection
	if _, err := io.WriteString(conn, request); err != nil {
		return ""
	}
	_ = conn.(*net.TCPConn).CloseWrite() // nothing follows
	answer, _ := io.ReadAll(conn)        // a reset after a refusal is an end as well
	return string(answer)
}

// readStrictly reads the requests of a stream as RFC 9112 has them, without any
// of the leniency that it allows, and counts them. Each must have come through
// Caddy, which leaves its name on what it forwards.
func readStrictly(stream string) (requests int, err error) {
	r := bufio.NewReader(strings.NewReader(stream))
	for {
		if _, err := r.Peek(1); err == io.EOF {
			return requests, nil
		}
		var head []string
		for {
			line, err := r.ReadString('\n')
			if err != nil || !strings.HasSuffix(line, "\r\n") {
				return requests, fmt.Errorf("read a line %q: %w", line, err)
			}
			if line = strings.TrimSuffix(line, "\r\n"); line == "" {
				break
			}
			if strings.ContainsAny(line, "\r\v\x00") || line[0] == ' ' || line[0] == '\t' {
				return requests, fmt.Errorf("found a folded or broken line %q", line)
			}
			head = append(head, line)
		}
		requests++
		if err := skipBody(r, head); err != nil {
			return requests, err
		}
	}
}

func skipBody(r *bufio.Reader, head []string) error {
	fields := map[string][]string{}
	for _, line := range head[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) != name {
			return fmt.Errorf("found no field in %q", line)
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		fields[name] = append(fields[name], strings.TrimSpace(value))
	}
	if len(fields["Via"]) != 1 || len(fields["X-Forwarded-For"]) != 1 {
		return fmt.Errorf("found a request that did not come through Caddy: %q", head)
	}
	lengths, codings := fields["Content-Length"], fields["Transfer-Encoding"]
	switch {
	case len(lengths)+len(codings) > 1:
		return fmt.Errorf("found %d lengths and %d codings in %q", len(lengths), len(codings), head)
	case len(codings) == 1:
		if codings[0] != "chunked" {
			return fmt.Errorf("found the coding %q", codings[0])
		}
		if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(r)); err != nil {
			return fmt.Errorf("read chunks: %w", err)
		}
		if end, err := r.ReadString('\n'); err != nil || end != "\r\n" {
			return fmt.Errorf("found %q after the chunks (%w)", end, err)
		}
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 31)
		if err != nil {
			return fmt.Errorf("read a length: %w", err)
		}
		if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil && !errors.Is(err, io.EOF) { // a client that broke off
			return fmt.Errorf("read a body: %w", err)
		}
	}
	return nil
}
