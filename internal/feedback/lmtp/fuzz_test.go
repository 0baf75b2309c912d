// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"bufio"
	"errors"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// replyLine is how every line of an answer has to begin (RFC 5321 §4.2). What
// follows may be the name that the client has given itself, byte for byte.
var replyLine = regexp.MustCompile(`(?s)^[2-5][0-9]{2}[ -]`)

// FuzzConversation says anything to the server. It answers in the form of the
// protocol, and takes reports for genuine tags only.
func FuzzConversation(f *testing.F) {
	const greet = "LHLO x\r\n"
	for _, seed := range []string{
		"", "QUIT\r\n", greet + "MAIL FROM:<>\r\nRCPT TO:<bounces+good1@example.org>\r\nDATA\r\n" + bounce + "\r\n.\r\nQUIT\r\n",
		greet + "MAIL FROM:<>\r\nRCPT TO:<bounces+bad@example.org>\r\nRCPT TO:<bounces+good2@example.org>\r\nDATA\r\n.\r\n",
		greet + "MAIL FROM:<> SIZE=999999999999\r\n", "EHLO x\r\nHELO y\r\n", greet + "BDAT 10 LAST\r\n0123456789", greet + "AUTH PLAIN AAAA\r\nSTARTTLS\r\n",
		greet + "MAIL FROM:<a@b> BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<\xff>\r\n", greet + "RSET\r\nNOOP\r\nVRFY x\r\n\x00\r\n", strings.Repeat("A", 5000) + "\r\n",
		greet + "MAIL FROM:<>\r\nRCPT TO:<bounces+good@example.org>\r\nDATA\r\n..\r\n.x\r\n", greet + "MAIL FROM:<>\r\nRCPT TO:<bounces+good@example.org>\nDATA\n.\n",
	} {
		f.Add([]byte(seed))
	}
	l, err := net.Listen("unix", filepath.Join(f.TempDir(), "lmtp"))
	if err != nil {
		f.Fatal(err)
	}
	box := &inbox{fail: map[string]bool{}}
	s, err := New(Config{
		VERP: feedback.VERP{Prefix: "bounces", Domain: "example.org"}, Receiver: box, Grace: time.Second,
		Tag: func(tag string) (threepid.SID, bool) { return threepid.SID(tag), strings.HasPrefix(tag, "good") },
	})
	if err != nil {
		f.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	f.Cleanup(func() {
		_ = s.Close()
		if err := <-served; err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, said []byte) {
		box.mu.Lock()
		box.reports, box.notes = nil, nil
		box.mu.Unlock()
		for _, line := range converse(t, l.Addr(), said) {
			if !replyLine.MatchString(line) {
				t.Errorf("the answer has the line %q", line)
			}
		}
		reports, _ := box.got()
		for _, r := range reports {
			canonical, err := address.Email(r.Address)
			if !strings.HasPrefix(r.VERPTag, "good") || r.Address != "" && (err != nil || canonical != r.Address) {
				t.Errorf("it was reported: %+v", r)
			}
		}
	})
}

// converse says it all and returns the lines of the answer. The server ends the
// conversation when there is nothing more to read.
func converse(t *testing.T, to net.Addr, said []byte) (lines []string) {
	t.Helper()
	c, err := net.Dial(to.Network(), to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = c.Write(said) // the server may hang up on it
		_ = c.(*net.UnixConn).CloseWrite()
	}()
	for in := bufio.NewReader(c); ; {
		line, err := in.ReadString('\n')
		if line != "" {
			lines = append(lines, strings.TrimRight(line, "\r\n"))
		}
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				t.Errorf("the server does not end the conversation %q", said)
			}
			return lines
		}
	}
}
