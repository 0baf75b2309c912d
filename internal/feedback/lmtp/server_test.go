// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback/dsn"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

const good = "bounces+good1@example.org"

func TestBounceWithAGenuineTagIsTaken(t *testing.T) {
	r := start(t, nil)
	result, err := send(r.client(), bounce, good)
	if err != nil || result[good] != nil {
		t.Fatalf("%v, %v", result, err)
	}
	reports, notes := r.box.got()
	if len(reports) != 1 || len(notes) != 0 {
		t.Fatalf("reports %+v, notes %q", reports, notes)
	}
	got := reports[0]
	if got.VERPTag != "good1" || got.Kind != feedback.Bounce || !got.Permanent || got.Code != "5.1.1" || got.Address != "alice@example.net" {
		t.Errorf("report %+v", got)
	}
}

func TestRecipientsWithoutAGenuineTagAreRefused(t *testing.T) {
	r := start(t, nil)
	c := r.client()
	if err := c.Mail("", nil); err != nil {
		t.Fatal(err)
	}
	refused := []string{
		"bounces@example.org", "bounces+@example.org", "bounces+forged@example.org", "bounces+good1@example.com", "postmaster@example.org",
		"postmaster", "good1@example.org", "bounces+good1+x@example.org", "bounces+good%31@example.org", "xbounces+good1@example.org",
	}
	for _, to := range refused {
		err := c.Rcpt(to, nil)
		if to == "postmaster" { // no mailbox at all
			want(t, to, err, 501, smtp.EnhancedCode{5, 5, 2})
			continue
		}
		want(t, to, err, 550, smtp.EnhancedCode{5, 1, 1})
		if err != nil && strings.Contains(err.Error(), "bounces") {
			t.Errorf("%s: the answer repeats it: %v", to, err)
		}
	}
	if _, err := c.Data(); err == nil {
		t.Error("DATA without a recipient was accepted")
	}
	reports, notes := r.box.got()
	if len(reports) != 0 || len(notes) != len(refused)-1 || slices.ContainsFunc(notes, func(o feedback.Outcome) bool { return o != feedback.Forbidden }) {
		t.Errorf("reports %+v, notes %q", reports, notes)
	}
	// A refusal does not end the conversation.
	if err := c.Rcpt(good, nil); err != nil {
		t.Error(err)
	}
}

func TestEachRecipientGetsItsOwnAnswer(t *testing.T) {
	r := start(t, nil)
	r.box.fail["good2"] = true
	two := strings.Replace(good, "good1", "good2", 1)
	three := strings.Replace(good, "good1", "GOOD3", 1)
	three = strings.Replace(three, "GOOD", "good", 1)
	result, err := send(r.client(), bounce, good, two, three)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "first", result[good], 0, smtp.EnhancedCode{})
	want(t, "second", result[two], 451, smtp.EnhancedCode{4, 3, 0})
	want(t, "third", result[three], 0, smtp.EnhancedCode{})
	reports, _ := r.box.got()
	if len(reports) != 2 || reports[0].VERPTag != "good1" || reports[1].VERPTag != "good3" {
		t.Errorf("reports %+v", reports)
	}
}

func TestTheSameRecipientTwiceIsOneReport(t *testing.T) {
	r := start(t, nil)
	c := r.dial()
	in := bufio.NewReader(c)
	fmt.Fprintf(c, "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n%s.\r\nQUIT\r\n", good, good, bounce)
	var accepted int
	for {
		s := line(t, in)
		if strings.HasPrefix(s, "250 2.0.0 <"+good+">") {
			accepted++
		}
		if strings.HasPrefix(s, "221") {
			break
		}
	}
	if reports, _ := r.box.got(); accepted != 2 || len(reports) != 1 {
		t.Errorf("%d answers, want 2; %d reports, want 1", accepted, len(reports))
	}
}

func TestMailsThatAreNoReportsAreTakenAndForgotten(t *testing.T) {
	r := start(t, nil)
	c := r.client()
	for _, body := range []string{
		"Subject: I am away\r\n\r\nuntil Monday\r\n", "\r\n", "\x00\xff\r\n",
		strings.Replace(bounce, "Action: failed", "Action: relayed", 1),
	} {
		result, err := send(c, body, good)
		if err != nil || result[good] != nil {
			t.Errorf("%.20q: %v, %v", body, result, err)
		}
		if err := c.Reset(); err != nil {
			t.Fatal(err)
		}
	}
	reports, notes := r.box.got()
	if len(reports) != 0 || !slices.Equal(notes, slices.Repeat([]feedback.Outcome{feedback.Ignored}, 4)) {
		t.Errorf("reports %+v, notes %q", reports, notes)
	}
}

func TestMailsOverTheLimitAreRefused(t *testing.T) {
	r := start(t, nil)
	filler := strings.Repeat(strings.Repeat("x", 98)+"\r\n", dsn.MaxMessage/100+1)
	c := r.client()
	result, err := send(c, bounce+filler, good)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "too large", result[good], 552, smtp.EnhancedCode{5, 3, 4})
	reports, notes := r.box.got()
	if len(reports) != 0 || !slices.Equal(notes, []feedback.Outcome{feedback.TooLarge}) {
		t.Errorf("reports %+v, notes %q", reports, notes)
	}
	// Announced, it is refused before it is sent; and the next mail is taken.
	want(t, "announced", c.Mail("", &smtp.MailOptions{Size: dsn.MaxMessage + 1}), 552, smtp.EnhancedCode{5, 3, 4})
	if result, err := send(c, bounce, good); err != nil || result[good] != nil {
		t.Errorf("after it: %v, %v", result, err)
	}
}

func TestRecipientsOfAMailAreBounded(t *testing.T) {
	r := start(t, nil)
	c := r.client()
	if err := c.Mail("", nil); err != nil {
		t.Fatal(err)
	}
	for n := range maxRecipients {
		if err := c.Rcpt(fmt.Sprintf("bounces+good%d@example.org", n), nil); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "one more", c.Rcpt("bounces+goodmore@example.org", nil), 452, smtp.EnhancedCode{4, 5, 3})
}

func TestItIsLMTPAndNotSMTP(t *testing.T) {
	r := start(t, nil)
	c := r.dial()
	in := bufio.NewReader(c)
	if got := line(t, in); got != "220 example.org LMTP Service Ready" {
		t.Errorf("greeting %q", got)
	}
	fmt.Fprint(c, "EHLO x\r\n")
	if got := line(t, in); !strings.HasPrefix(got, "500 ") {
		t.Errorf("EHLO: %q (RFC 2033 §4.1)", got)
	}
	fmt.Fprint(c, "LHLO x\r\n")
	var caps []string
	for {
		s := line(t, in)
		caps = append(caps, s[4:])
		if s[3] == ' ' {
			break
		}
	}
	for _, extension := range []string{"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", fmt.Sprintf("SIZE %d", dsn.MaxMessage), "SMTPUTF8"} {
		if !slices.ContainsFunc(caps, func(s string) bool { return strings.HasSuffix(s, extension) }) {
			t.Errorf("%s is not offered (RFC 2033 §5): %q", extension, caps)
		}
	}
	if slices.ContainsFunc(caps, func(s string) bool { return strings.Contains(s, "AUTH") || strings.Contains(s, "STARTTLS") }) {
		t.Errorf("offers what it has not: %q", caps)
	}
}

func TestMailInChunks(t *testing.T) {
	r := start(t, nil)
	c := r.dial()
	in := bufio.NewReader(c)
	half := len(bounce) / 2
	fmt.Fprintf(c, "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\nBDAT %d\r\n%sBDAT %d LAST\r\n%sQUIT\r\n",
		good, half, bounce[:half], len(bounce)-half, bounce[half:])
	for !strings.HasPrefix(line(t, in), "221") {
		continue
	}
	if reports, _ := r.box.got(); len(reports) != 1 {
		t.Errorf("reports %+v, want one", reports)
	}
}

func TestSilentClientsAreCutOff(t *testing.T) {
	r := start(t, func(c *Config) { c.Timeout = 50 * time.Millisecond })
	for name, words := range map[string]string{
		"at once": "", "within a mail": "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<" + good + ">\r\n",
		"within the data": "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<" + good + ">\r\nDATA\r\nSubject: hel",
	} {
		c := r.dial()
		fmt.Fprint(c, words)
		in := bufio.NewReader(c)
		for {
			if _, err := in.ReadString('\n'); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: still open", name)
				}
				break
			}
		}
	}
	if reports, _ := r.box.got(); len(reports) != 0 {
		t.Errorf("reports %+v", reports)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	r := start(t, nil)
	var open []net.Conn
	for range maxConns {
		c := r.dial()
		line(t, bufio.NewReader(c))
		open = append(open, c)
	}
	waiting := bufio.NewReader(r.dial())
	r.mu.Lock()
	if n := len(r.conns); n != maxConns {
		t.Errorf("%d connections, want %d", n, maxConns)
	}
	r.mu.Unlock()
	open[0].Close()
	if got := line(t, waiting); !strings.HasPrefix(got, "220") {
		t.Errorf("the one that waited is greeted with %q", got)
	}
}

func TestGarbageEndsTheConversation(t *testing.T) {
	r := start(t, nil)
	for _, words := range []string{strings.Repeat("\x00\xff\r\n", 10), strings.Repeat("x", 5000) + "\r\n", strings.Repeat("GET / HTTP/1.1\r\n", 10)} {
		c := r.dial()
		fmt.Fprint(c, words)
		in := bufio.NewReader(c)
		for {
			if _, err := in.ReadString('\n'); err != nil {
				break
			}
		}
	}
	if result, err := send(r.client(), bounce, good); err != nil || result[good] != nil {
		t.Errorf("after it: %v, %v", result, err)
	}
}

func TestServesLocalListenersOnly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := startOn(t, l, nil)
	if result, err := send(r.client(), bounce, good); err != nil || result[good] != nil {
		t.Errorf("loopback: %v, %v", result, err)
	}
	for _, addr := range []net.Addr{
		&net.TCPAddr{IP: net.IPv4zero}, &net.TCPAddr{IP: net.IPv6unspecified}, &net.TCPAddr{}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, &net.UDPAddr{IP: net.IPv6loopback},
	} {
		if err := r.Serve(fakeListener{addr: addr}); !errors.Is(err, ErrNotLocal) {
			t.Errorf("%v: %v, want ErrNotLocal", addr, err)
		}
	}
	if !local(&net.TCPAddr{IP: net.IPv6loopback}) {
		t.Error("::1 is local")
	}
}

// fakeListener has an address and nothing else.
type fakeListener struct {
	net.Listener
	addr net.Addr
}

func (l fakeListener) Addr() net.Addr { return l.addr }

func TestNewChecks(t *testing.T) {
	tag := func(string) (threepid.SID, bool) { return "", false }
	verp := feedback.VERP{Prefix: "b", Domain: "example.org"}
	for name, cfg := range map[string]Config{
		"no addresses": {Tag: tag, Receiver: &inbox{}}, "no tag check": {VERP: verp, Receiver: &inbox{}}, "no receiver": {VERP: verp, Tag: tag},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
