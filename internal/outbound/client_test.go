// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

func TestRequest(t *testing.T) {
	type seen struct {
		proto, host, path, body string
		header                  http.Header
		version                 uint16
	}
	var got seen
	l := newLab(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = seen{r.Proto, r.Host, r.URL.RequestURI(), string(body), r.Header, r.TLS.Version}
		w.Header().Set("Set-Cookie", "a=b")
		_, _ = w.Write([]byte("answer"))
	}, Options{})
	url := mustName(t, host).URL("/a/b?c")
	for range 2 {
		resp, err := l.client.Post(url, "application/json", strings.NewReader("question"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(answer) != "answer" {
			t.Errorf("got %q, %v, want the answer", answer, err)
		}
		if got.proto != "HTTP/1.1" || got.host != host || got.path != "/a/b?c" || got.body != "question" || got.version < tls.VersionTLS12 {
			t.Errorf("the server saw %+v", got)
		}
		// Exactly these: no cookie of the first answer, no offer to decompress.
		want := map[string]string{"User-Agent": "caddy-threepid", "Content-Type": "application/json", "Content-Length": "8", "Connection": "close"}
		for key := range got.header {
			if got.header.Get(key) != want[key] {
				t.Errorf("header %s: got %q, want %q", key, got.header[key], want[key])
			}
			delete(want, key)
		}
		if len(want) != 0 {
			t.Errorf("headers missing: %v", want)
		}
	}
	if got := l.accepts.Load(); got != 2 {
		t.Errorf("got %d connections for 2 requests, want one each", got)
	}
}

// TestTargets: the client itself insists on https and canonical names; callers
// that build URLs by hand get no further.
func TestTargets(t *testing.T) {
	l := newLab(t, func(http.ResponseWriter, *http.Request) {}, Options{})
	for _, url := range []string{
		"http://" + host + "/", "https://user:pass@" + host + "/", "https://" + host + ":443/", "https://IS.example/",
		"https://" + host + "./", "https://127.1/", "https://0x7f000001/", "https://is_.example/", "https:///path",
		"https://b%C3%BCcher.example/", "https://[fe80::1%25lo]/", "https://[::0:1]/", "ftp://" + host + "/",
	} {
		req, err := http.NewRequest(http.MethodPost, url, strings.NewReader("body"))
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if resp, err := l.client.Do(req); !errors.Is(err, ErrName) {
			t.Errorf("%s: got %v, %v, want ErrName", url, resp, err)
		}
	}
	req, err := http.NewRequest(http.MethodGet, mustName(t, host).URL("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "admin.internal"
	if _, err := l.client.Do(req); !errors.Is(err, ErrName) {
		t.Errorf("another Host header: got %v, want ErrName", err)
	}
	if got := l.accepts.Load(); got != 0 || len(l.dials.seen()) != 0 {
		t.Errorf("got %d connections, want none", got)
	}
	req.Host = "" // that of the URL
	resp, err := l.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

func TestRedirects(t *testing.T) {
	var decoy atomic.Int64
	for status := 300; status < 400; status++ {
		if status == http.StatusNotModified || status > 308 && status < 399 {
			continue
		}
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			l := newLab(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/" {
					decoy.Add(1)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			}, Options{})
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				req, err := http.NewRequest(method, mustName(t, host).URL("/"), nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := l.client.Do(req)
				if !errors.Is(err, ErrRedirect) || resp != nil {
					t.Errorf("%s: got %v, %v, want ErrRedirect", method, resp, err)
				}
			}
		})
	}
	if decoy.Load() != 0 {
		t.Errorf("got %d requests to the target, want none", decoy.Load())
	}
}

// TestProxyIsIgnored: a proxy would resolve names on our behalf. net/http reads
// the environment once in the life of a program, so this takes a new one.
func TestProxyIsIgnored(t *testing.T) {
	proxy := listen(t)
	serve(t, proxy, nil, http.NotFoundHandler())
	child := exec.Command(os.Args[0], "-test.run=^TestRequest$")
	child.Env = os.Environ()
	for _, key := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		child.Env = append(child.Env, key+"=http://"+proxy.Addr().String())
	}
	child.Env = append(child.Env, "NO_PROXY=", "no_proxy=")
	if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("with a proxy in the environment: %v\n%s", err, out)
	}
	if proxy.accepts.Load() != 0 {
		t.Error("the proxy was asked")
	}
}

func TestClientKeepsNoCookies(t *testing.T) {
	if jar := NewClient(Options{}).Jar; jar != nil {
		t.Errorf("got a %T, want none", jar.(*cookiejar.Jar))
	}
}

func TestBodyCap(t *testing.T) {
	const limit = 1000
	body := func(size int, announced bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if announced {
				w.Header().Set("Content-Length", fmt.Sprint(size))
			}
			chunk := bytes.Repeat([]byte("x"), 4096)
			for sent := 0; sent < size; sent += len(chunk) {
				if _, err := w.Write(chunk[:min(len(chunk), size-sent)]); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
			}
		}
	}
	tests := []struct {
		name      string
		size      int
		announced bool
		want      error
	}{
		{"nothing", 0, true, nil},
		{"just fits", limit, true, nil},
		{"just fits, in chunks", limit, false, nil},
		{"one byte more", limit + 1, true, ErrTooLarge},
		{"one byte more, in chunks", limit + 1, false, ErrTooLarge},
		{"10 MB", 10 << 20, true, ErrTooLarge},
		{"10 MB in chunks", 10 << 20, false, ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, body(tt.size, tt.announced), Options{MaxBody: limit})
			_, got, err := get(l.client, mustName(t, host).URL("/"))
			if !errors.Is(err, tt.want) || tt.want == nil && len(got) != tt.size {
				t.Errorf("got %d bytes, %v, want %v", len(got), err, tt.want)
			}
			// Of what is too large as announced, nothing is read.
			if len(got) > limit || tt.announced && tt.want != nil && len(got) > 0 {
				t.Errorf("got %d bytes, want at most %d", len(got), limit)
			}
		})
	}
}

// TestBodyCapHangsUp: past the cap the connection ends, and the server's writing
// with it.
func TestBodyCapHangsUp(t *testing.T) {
	stopped := make(chan int, 1)
	l := newLab(t, func(w http.ResponseWriter, _ *http.Request) {
		sent, chunk := 0, make([]byte, 32<<10)
		for {
			n, err := w.Write(chunk)
			sent += n
			if err != nil {
				stopped <- sent
				return
			}
		}
	}, Options{})
	if _, got, err := get(l.client, mustName(t, host).URL("/")); !errors.Is(err, ErrTooLarge) || len(got) != DefaultMaxBody {
		t.Errorf("got %d bytes, %v, want %d and ErrTooLarge", len(got), err, DefaultMaxBody)
	}
	// What the sockets' buffers hold is all that the server got rid of.
	if sent := <-stopped; sent > 32<<20 {
		t.Errorf("the server could send %d bytes", sent)
	}
}

// chunkReader gives its text in pieces, then its error.
type chunkReader struct {
	text   string
	err    error
	closed bool
}

func (r *chunkReader) Read(p []byte) (int, error) {
	n := copy(p, r.text[:min(3, len(r.text))])
	r.text = r.text[n:]
	if r.text == "" {
		return n, r.err
	}
	return n, nil
}

func (r *chunkReader) Close() error { r.closed = true; return nil }

func TestCappedBody(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name, text string
		end, want  error
		limit      int64
		left       string
	}{
		{"under", "abcdef", io.EOF, nil, 7, "abcdef"},
		{"exact", "abcdef", io.EOF, nil, 6, "abcdef"},
		{"over", "abcdef", io.EOF, ErrTooLarge, 5, "abcde"},
		{"over at a boundary", "abcdef", io.EOF, ErrTooLarge, 3, "abc"},
		{"broken before the cap", "abcdef", broken, broken, 7, "abcdef"},
		{"broken at the cap", "abcdef", broken, broken, 6, "abcdef"},
		{"empty", "", io.EOF, nil, 1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inner := &chunkReader{text: tt.text, err: tt.end}
			b := &cappedBody{body: inner, left: tt.limit}
			got, err := io.ReadAll(b)
			if string(got) != tt.left || !errors.Is(err, tt.want) {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.left, tt.want)
			}
			if inner.closed != errors.Is(tt.want, ErrTooLarge) {
				t.Errorf("closed: got %t", inner.closed)
			}
			if n, err := b.Read(nil); n != 0 || err == nil {
				t.Errorf("after the end: got %d, %v", n, err)
			}
			_ = b.Close()
			if n, err := b.Read(make([]byte, 8)); n != 0 || err == nil || !errors.Is(err, cmp.Or(tt.want, io.EOF)) {
				t.Errorf("after Close: got %d, %v, want the end of before", n, err)
			}
		})
	}
	b := &cappedBody{body: &chunkReader{text: "abc", err: io.EOF}, left: 3}
	if n, err := b.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing asked for: got %d, %v", n, err)
	}
	_ = b.Close()
	if n, err := b.Read(make([]byte, 8)); n != 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("after an early Close: got %d, %v, want an error", n, err)
	}
}

// TestGzipBomb: compressed bytes stay compressed, and count as they come.
func TestGzipBomb(t *testing.T) {
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	_, _ = zip.Write(make([]byte, 4<<20))
	_ = zip.Close()
	l := newLab(t, func(w http.ResponseWriter, r *http.Request) {
		if offered := r.Header.Get("Accept-Encoding"); offered != "" {
			t.Errorf("the client offers to decompress %s", offered)
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	}, Options{MaxBody: int64(bomb.Len())})
	_, got, err := get(l.client, mustName(t, host).URL("/"))
	if err != nil || !bytes.Equal(got, bomb.Bytes()) {
		t.Errorf("got %d bytes, %v, want the %d bytes as they were sent", len(got), err, bomb.Len())
	}
}

func TestHeaderCap(t *testing.T) {
	for _, size := range []int{1 << 10, 1 << 20} {
		l := newLab(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Padding", strings.Repeat("x", size))
		}, Options{})
		if _, _, err := get(l.client, mustName(t, host).URL("/")); (err != nil) != (size > DefaultMaxHeader) {
			t.Errorf("%d bytes of header: got %v", size, err)
		}
	}
}

// TestStatus: answers that are not the end of a request, or none that HTTP knows.
func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		status string
		want   error
	}{{"101 Switching Protocols", ErrProtocol}, {"600 Beyond", ErrProtocol}, {"999 Beyond", ErrProtocol}, {"200 OK", nil}, {"404 Not Found", nil}, {"599 Known", nil}} {
		l := newLab(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(buf, "HTTP/1.1 %s\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n", tt.status)
			_ = buf.Flush()
			_ = conn.Close()
		}, Options{})
		if _, _, err := get(l.client, mustName(t, host).URL("/")); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.status, err, tt.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	got := Options{}.withDefaults()
	if got.Timeout != DefaultTimeout || got.DialTimeout != DefaultDialTimeout || got.MaxBody != DefaultMaxBody ||
		got.MaxHeader != DefaultMaxHeader || got.Resolver != net.DefaultResolver || got.Dial == nil {
		t.Errorf("got %+v", got)
	}
}
