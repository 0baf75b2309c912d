// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	requestToken = "/_matrix/client/r0/register/email/requestToken"
	patience     = 2 * time.Minute
)

// dial opens a connection of its own to the public site.
func (w *world) dial() *net.TCPConn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.host())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// say writes as far as the server listens.
func say(conn net.Conn, text string) { _, _ = io.WriteString(conn, text) }

// hear reads an answer; a connection that was closed without one is status 0.
func hear(t *testing.T, conn net.Conn) (status int, body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("the server neither answers nor ends the connection: %v", err)
		}
		return 0, ""
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body) // what came is judged
	return resp.StatusCode, string(raw)
}

// host is that of the public site.
func (w *world) host() string { return strings.TrimPrefix(w.Public, "http://") }

func (w *world) head(method, path, more string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: " + w.host() + "\r\n" + more + "\r\n"
}

func tokenBody(email string) string {
	return fmt.Sprintf(`{"client_secret":"s","email":%q,"send_attempt":1}`, email)
}

// TestHostileConnections runs them all against one program, and after each of
// them somebody registers.
func TestHostileConnections(t *testing.T) {
	w := newWorld(t, t.TempDir())
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, w *world)
	}{
		{"slow headers", slowHeaders},
		{"slow bodies", slowBodies},
		{"oversized", oversized},
		{"endless chunks", endlessChunks},
		{"gzip", compressed},
		{"half closed", halfClosed},
		{"hang up at every byte", hangUps},
		{"lies about the length", lies},
	} {
		t.Run(tt.name, func(t *testing.T) {
			own := &world{w.Stack, t, w.client}
			tt.run(t, own)
			own.goodUser(strings.ReplaceAll(tt.name, " ", "-"))
		})
	}
}

// slowHeaders holds many connections in the middle of their headers.
func slowHeaders(t *testing.T, w *world) {
	for range 200 {
		say(w.dial(), "POST "+requestToken+" HTTP/1.1\r\nHost: "+w.host()+"\r\nX-Slow: ")
	}
	w.goodUser("meanwhile-headers")
}

// slowBodies holds many requests in the middle of their bodies, on every kind of
// path of ours. They end by themselves: see TestSlowBodyEnds.
func slowBodies(t *testing.T, w *world) {
	paths := []string{
		requestToken, "/_matrix/client/r0/register", "/_matrix/client/r0/account/password", "/_matrix/client/v3/account/3pid/add",
		"/_threepid/validate/email/submitToken", "/_threepid/refuse", "/_matrix/client/r0/createRoom",
	}
	for i := range 200 {
		conn := w.dial()
		say(conn, w.head("POST", paths[i%len(paths)], "Content-Length: 100\r\n")+"{")
	}
	w.goodUser("meanwhile-bodies")
}

func oversized(t *testing.T, w *world) {
	for _, path := range []string{requestToken, "/_matrix/client/r0/register", "/_threepid/validate/email/submitToken", "/_matrix/client/v3/account/3pid/bind"} {
		conn := w.dial()
		say(conn, w.head("POST", path, fmt.Sprintf("Content-Length: %d\r\n", 1<<20)))
		say(conn, strings.Repeat("x", 70_000))
		if status, body := hear(t, conn); status != http.StatusRequestEntityTooLarge || !strings.Contains(body, "M_TOO_LARGE") {
			t.Errorf("%s: got %d %s, want 413 M_TOO_LARGE", path, status, body)
		}
	}
}

// endlessChunks never says how long it is going to be.
func endlessChunks(t *testing.T, w *world) {
	conn := w.dial()
	say(conn, w.head("POST", requestToken, "Transfer-Encoding: chunked\r\n"))
	go func() {
		chunk := "1000\r\n" + strings.Repeat(" ", 0x1000) + "\r\n"
		for range 10_000 {
			if _, err := io.WriteString(conn, chunk); err != nil {
				return
			}
		}
	}()
	if status, body := hear(t, conn); status != http.StatusRequestEntityTooLarge || !strings.Contains(body, "M_TOO_LARGE") {
		t.Errorf("got %d %s, want 413 M_TOO_LARGE", status, body)
	}
}

// compressed: a body that has to be unpacked first is none: no client sends one,
// and what is small here may be large there.
func compressed(t *testing.T, w *world) {
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	_, _ = io.WriteString(gz, tokenBody("packed@example.test")+strings.Repeat(" ", 50<<20))
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{requestToken, "/_matrix/client/r0/register", "/_matrix/client/r0/account/password", "/_threepid/validate/email/submitToken"} {
		conn := w.dial()
		text := packed.String()
		say(conn, w.head("POST", path, fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d\r\n", len(text)))+text)
		if status, body := hear(t, conn); status != http.StatusBadRequest || !strings.Contains(body, `"errcode":"M_`) {
			t.Errorf("%s: got %d %s, want 400 and a Matrix error", path, status, body)
		}
	}
}

// halfClosed clients say that they have said all, after all of it or before.
func halfClosed(t *testing.T, w *world) {
	body := tokenBody("half@example.test")
	text := w.head("POST", requestToken, fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\n", len(body))) + body
	for _, cut := range []int{len(text), len(text) - 1, len(text) - len(body), 20, 0} {
		conn := w.dial()
		say(conn, text[:cut])
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		status, answer := hear(t, conn)
		// To net/http who says no more is gone; the answer may have been quicker.
		if cut == len(text) && status != http.StatusOK && status != 499 || cut < len(text) && status != 0 && status != http.StatusBadRequest {
			t.Errorf("after %d of %d bytes: got %d %s", cut, len(text), status, answer)
		}
	}
}

// hangUps leaves at every byte of a request. A session that was opened all the
// same is the one that the client gets when it comes back, and has one mail.
func hangUps(t *testing.T, w *world) {
	const email = "gone@example.test"
	body := tokenBody(email)
	text := w.head("POST", requestToken, fmt.Sprintf("Content-Length: %d\r\n", len(body))) + body
	for cut := range len(text) + 1 {
		conn := w.dial()
		say(conn, text[:cut])
		_ = conn.SetLinger(cut % 2) // some of them with a reset
		_ = conn.Close()
	}
	sid, link := w.mustOpen("s", email)
	if again := w.open("s", email); again.Text("sid") != sid {
		t.Errorf("got %d %s, want the sid %s again", again.Status, again.Body, sid)
	}
	if _, confirmed := w.click(link); confirmed.Status != http.StatusOK {
		t.Errorf("the link: got %d %s", confirmed.Status, confirmed.Body)
	}
	n := 0
	for _, m := range w.Inbox.Messages() {
		if m.To == email {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d mails were sent, want 1", n)
	}
}

// lies says another length than it sends, two lengths, or a length and chunks:
// the ground of request smuggling.
func lies(t *testing.T, w *world) {
	body := tokenBody("liar@example.test")
	for name, more := range map[string]string{
		"two lengths":       fmt.Sprintf("Content-Length: %d\r\nContent-Length: 3\r\n", len(body)),
		"length and chunks": fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", len(body)),
		"negative":          "Content-Length: -1\r\n",
		"strange encoding":  "Transfer-Encoding: gzip, chunked\r\n",
		"too short":         "Content-Length: 10\r\nConnection: close\r\n",
	} {
		conn := w.dial()
		say(conn, w.head("POST", requestToken, more)+body+"\r\n")
		if status, answer := hear(t, conn); status != 0 && (status < 400 || status == http.StatusInternalServerError) {
			t.Errorf("%s: got %d %s, want a refusal", name, status, answer)
		}
	}
}
