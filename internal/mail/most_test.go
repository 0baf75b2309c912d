// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// TestTheMostIsTaken: what is as long or as much as may be is taken, and one more is
// not.
func TestTheMostIsTaken(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	config := func(change func(c *SMTPConfig)) bool {
		c := SMTPConfig{Address: "h.test:25"}
		change(&c)
		return c.Validate() == nil
	}
	message := func(change func(m *Message)) bool {
		m := sample()
		change(&m)
		return m.validate() == nil
	}
	domain := func(n int) string { return strings.Repeat("a.", n/2-1) + long(2+n%2) }
	for name, tt := range map[string]struct {
		most int
		good func(n int) bool
	}{
		"address":     {maxAddress, func(n int) bool { return bare(long(n-len("@example.org")) + "@example.org") }},
		"name":        {maxName, func(n int) bool { _, _, err := Sender(long(n) + " <a@example.org>"); return err == nil }},
		"subject":     {maxSubject, func(n int) bool { return message(func(m *Message) { m.Subject = long(n) }) }},
		"message id":  {250, func(n int) bool { return validID("<" + long(n-len("<@x>")) + "@x>") }},
		"unsubscribe": {maxUnsubscribe, func(n int) bool { return validUnsubscribe("https://x.test/" + long(n-len("https://x.test/"))) }},
		"label":       {63, func(n int) bool { return validHELO(long(n) + ".test") }},
		"host":        {maxHostName, func(n int) bool { return validHELO(domain(n)) }},
		"selector":    {maxHostName, func(n int) bool { return validSelector(domain(n)) }},
		"rate":        {maxRate, func(n int) bool { return config(func(c *SMTPConfig) { c.Rate = float64(n) }) }},
		"port":        {65535, func(n int) bool { return config(func(c *SMTPConfig) { c.Address = "h.test:" + strconv.Itoa(n) }) }},
		"line":        {maxLine, func(n int) bool { return ordered(t, long(n)) }},
		"reply":       {maxSaid, func(n int) bool { return line(long(n), maxSaid) == long(n) }},
		"reason":      {maxReason, func(n int) bool { return clean(long(n)) == long(n) }},
	} {
		if !tt.good(tt.most) || tt.good(tt.most+1) {
			t.Errorf("%s: %d is good: %t, and one more: %t", name, tt.most, tt.good(tt.most), tt.good(tt.most+1))
		}
	}
	if !config(func(c *SMTPConfig) { c.Address = "h.test:1" }) {
		t.Error("port 1 is refused")
	}
	if key, err := rsa.GenerateKey(rand.Reader, minRSA); err != nil || (&DKIM{Domain: "x.test", Selector: "s", Signer: key}).Validate() != nil {
		t.Errorf("a key of %d bits is refused, %v", minRSA, err)
	}
	whole := "250 " + long(maxReply-len("250 \r\n")) + "\r\n"
	if _, err := hears(whole).next(); err != nil {
		t.Errorf("a reply of %d is refused: %v", len(whole), err)
	}
	if _, err := hears(whole[:4] + "x" + whole[4:]).next(); err == nil {
		t.Errorf("a reply of %d is taken", len(whole)+1)
	}
	if got := line(long(9)+"é", 10); got != long(9)+"…" {
		t.Errorf("got %q, want no half of a letter", got)
	}
}

// ordered reports whether a mail with a line is taken.
func ordered(t *testing.T, line string) bool {
	t.Helper()
	raw, err := Compose(sample())
	if err != nil {
		t.Fatal(err)
	}
	_, err = orderHeader(append(raw, line...))
	return err == nil
}

// TestLettersAtTheEdges of what is allowed, and those next to them.
func TestLettersAtTheEdges(t *testing.T) {
	for name, tt := range map[string]struct {
		good, bad string
		take      func(s string) bool
	}{
		"message id":  {"azAZ09.-_", "`{@[/: <", func(s string) bool { return validID("<a" + s + "@x>") }},
		"label":       {"azAZ09", "`{@[/:_", func(s string) bool { return validLabel("a"+s) && validLabel(s+"a") }},
		"middle":      {"-", "", func(s string) bool { return validLabel("a"+s+"a") && !validLabel("a"+s) && !validLabel(s+"a") }},
		"token":       {"azAZ09-._~+/=", "`{@[:*", func(s string) bool { return validToken(s) }},
		"unsubscribe": {"!~", " \x7f<>,\"\\", func(s string) bool { return validUnsubscribe("https://x.test/" + s) }},
		"helo":        {"!~", " \x7f", func(s string) bool { return (&SMTPConfig{HELO: s}).checkHELO("localhost") == nil }},
		"ascii":       {"~", "\x7fé", ascii},
		"control":     {" ~", "\x1f\x7f\u2028\u2029\u0085\xff", func(s string) bool { return !hasControl(s) }},
		"reply":       {"25", "16", func(s string) bool { _, _, _, ok := parseReply(s + "00"); return ok }},
		"second":      {"09", "/:", func(s string) bool { _, _, _, ok := parseReply("2" + s + "0"); return ok }},
		"third":       {"09", "/:", func(s string) bool { _, _, _, ok := parseReply("20" + s); return ok }},
		"separator":   {" \t-", "_x", func(s string) bool { _, _, _, ok := parseReply("200" + s); return ok }},
	} {
		for _, r := range tt.good {
			if !tt.take(string(r)) {
				t.Errorf("%s: %q is refused", name, r)
			}
		}
		for one := range strings.SplitSeq(tt.bad, "") {
			if tt.take(one) {
				t.Errorf("%s: %q is taken", name, one)
			}
		}
	}
}

// TestEachLimitOfAConfiguration is one of its own: each is refused below zero, and
// what is set stays.
func TestEachLimitOfAConfiguration(t *testing.T) {
	limits := func(n int) SMTPConfig {
		d := time.Duration(n)
		return SMTPConfig{
			Address: "h.test:25", TLS: STARTTLS, Auth: AuthPlain, HELO: "mx.example.org", ServerName: "other.test", Username: "u", Password: "p",
			Timeout: d, ConnectTimeout: d, HandoverTimeout: d, Slow: d, MaxConnections: n, Rate: float64(n),
		}
	}
	c := limits(1)
	if err := c.Validate(); err != nil || c.Timeout != 1 || c.ConnectTimeout != 1 || c.HandoverTimeout != 1 || c.Slow != 1 ||
		c.MaxConnections != 1 || c.Rate != 1 || c.ServerName != "other.test" || c.HELO != "mx.example.org" || c.Auth != AuthPlain {
		t.Errorf("got %+v, %v", c, err)
	}
	s, err := NewSMTP(c)
	if err != nil || cap(s.slots) != 1 || cap(s.waiting) != 1 || s.keep != idleTime || s.most != maxMails || s.probe != probeAfter || s.limiter.Burst() != 1 || s.tls.MinVersion != tls.VersionTLS12 {
		t.Errorf("got %+v, %v", s, err)
	}
	if s, err = NewSMTP(SMTPConfig{Address: "h.test:25", Rate: 25}); err != nil || s.limiter.Burst() != 3 || s.limiter.Limit() != 25 {
		t.Errorf("got %+v, %v", s.limiter, err)
	}
	for _, field := range []func(c *SMTPConfig){
		func(c *SMTPConfig) { c.Timeout = -1 }, func(c *SMTPConfig) { c.ConnectTimeout = -1 }, func(c *SMTPConfig) { c.HandoverTimeout = -1 },
		func(c *SMTPConfig) { c.Slow = -1 }, func(c *SMTPConfig) { c.MaxConnections = -1 },
		func(c *SMTPConfig) { c.Rate = -1 },
	} {
		c := limits(1)
		if field(&c); c.Validate() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// TestHELOOfThisMachine is as good as none where it is no whole name.
func TestHELOOfThisMachine(t *testing.T) {
	system, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	if validHELO(system) {
		want = system
	}
	c := SMTPConfig{Address: "smtp.example.org:587", HELO: system}
	if err := c.Validate(); err != nil || c.HELO != want {
		t.Errorf("%q became %q, %v", system, c.HELO, err)
	}
}

// TestWordsForReplies: each code has its word, whichever stage it comes at.
func TestWordsForReplies(t *testing.T) {
	for _, tt := range []struct {
		stage    string
		code     int
		enhanced string
		want     string
	}{
		{"rcpt", 421, "", ReasonShutdown},
		{"hello", 530, "", ReasonAuthRequired},
		{"data", 552, "", ReasonMessage},
		{"mail", 552, "", ReasonMessage},
		{"rcpt", 400, "", ReasonDeferred},
		{"rcpt", 499, "", ReasonDeferred},
		{"rcpt", 399, "", ReasonReply},
		{"rcpt", 600, "", ReasonReply},
		{"tls", 554, "", ReasonSTARTTLSRefused},
		{"auth", 535, "", ReasonAuthRefused},
		{"mail", 550, "", ReasonSender},
		{"rcpt", 550, "5.1.1", ReasonRecipient},
		{"rcpt", 550, "5.7.1", ReasonPolicy},
		{"rcpt", 500, "", ReasonRecipient},
		{"rcpt", 599, "", ReasonRecipient},
		{"data", 554, "", ReasonMessage},
		{"hello", 554, "", ReasonClient},
	} {
		if got := replyReason(tt.stage, tt.code, tt.enhanced); got != tt.want {
			t.Errorf("%s %d %s: got %s, want %s", tt.stage, tt.code, tt.enhanced, got, tt.want)
		}
	}
	for code, operator := range map[int]bool{529: false, 530: true, 531: false, 533: false, 534: true, 535: true, 536: false, 537: false, 538: true, 539: false} {
		e := failure(t.Context(), "rcpt", &smtp.SMTPError{Code: code, Message: "5.1.1 no"})
		if e.Operator() != operator || e.Temporary() != operator || e.Enhanced != "5.1.1" {
			t.Errorf("%d: got operator %t, temporary %t, %s", code, e.Operator(), e.Temporary(), e.Enhanced)
		}
	}
	for code, refused := range map[int]bool{399: false, 400: true, 421: false, 422: true, 599: true} {
		e := failure(t.Context(), "rcpt", &smtp.SMTPError{Code: code})
		if e.refused() != refused || e.answered() != refused {
			t.Errorf("%d: refused %t, answered %t, want %t", code, e.refused(), e.answered(), refused)
		}
	}
	for _, lacks := range []error{errNoSMTPUTF8, errNo8BITMIME} { // another relay may have it
		if e := failure(t.Context(), "mail", lacks); !e.refused() || !e.lacking() || !e.elsewhere() {
			t.Errorf("%v: refused %t, lacking %t, elsewhere %t, want all", lacks, e.refused(), e.lacking(), e.elsewhere())
		}
	}
	for _, code := range []smtp.EnhancedCode{{4, 2, 2}, {5, 2, 2}, {3, 2, 2}, {6, 2, 2}} {
		want := map[int]string{4: "4.2.2", 5: "5.2.2"}[code[0]]
		if got := failure(t.Context(), "rcpt", &smtp.SMTPError{Code: 550, EnhancedCode: code}).Enhanced; got != want {
			t.Errorf("%v: got %q, want %q", code, got, want)
		}
	}
}

// TestDirThatCannotNameAFile leaves nothing behind, whether its first name is too long
// for the system or its last.
func TestDirThatCannotNameAFile(t *testing.T) {
	for _, length := range []int{4070, 4090} {
		dir := t.TempDir()
		for len(dir) < length-201 {
			dir = filepath.Join(dir, strings.Repeat("d", 199))
		}
		dir = filepath.Join(dir, strings.Repeat("d", length-len(dir)-1))
		err := NewDir(dir).Send(t.Context(), sender, reader, []byte("x\r\n"))
		got, ok := errors.AsType[*SendError](err)
		if left, unread := os.ReadDir(dir); !ok || got.Stage != "write" || got.Reason != ReasonFolder || unread == nil && len(left) != 0 {
			t.Errorf("got %v, and %d files are left", err, len(left))
		}
	}
}
