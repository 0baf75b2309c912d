// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// admins asks the admin endpoint.
func (s *site) admins(method, path string, body any, want int) stack.Answer {
	s.t.Helper()
	a, err := s.operator().Do(s.t.Context(), method, admin.Base+path, "", body)
	if err != nil || a.Status != want {
		s.t.Fatalf("%s %s: got %d %s (%v), want %d", method, path, a.Status, a.Body, err, want)
	}
	return a
}

// session describes one session to the operator.
func (s *site) session(sid string) admin.SessionInfo {
	s.t.Helper()
	var found admin.Sessions
	if err := json.Unmarshal([]byte(s.admins("POST", "sessions/find", stack.Object{"sid": sid}, http.StatusOK).Body), &found); err != nil || len(found.Sessions) != 1 {
		s.t.Fatalf("got %+v (%v), want one session", found, err)
	}
	return found.Sessions[0]
}

// looped is a whole that takes feedback in.
func looped(t *testing.T) (w *whole, lmtpAddr string) {
	t.Helper()
	ports, err := freeport.Take(1)
	if err != nil {
		t.Fatal(err)
	}
	lmtpAddr = fmt.Sprintf("127.0.0.1:%d", ports[0])
	w = newWhole(t, "off", "feedback {\nbounces bounces@example.test\nlmtp "+lmtpAddr+"\npostmark hook canary-hook-password\n}")
	return w, lmtpAddr
}

// tagOf is the tag of the mail to an address, out of its envelope.
func (w *whole) tagOf(email string) string {
	w.t.Helper()
	m, err := w.inbox.WaitFor(w.t.Context(), email)
	if err != nil {
		w.t.Fatal(err)
	}
	tag, ok := strings.CutPrefix(m.From, "bounces+")
	tag, found := strings.CutSuffix(tag, "@example.test")
	if !ok || !found {
		w.t.Fatalf("got envelope sender %q, want bounces+tag@example.test", m.From)
	}
	return tag
}

// wantSuppressed requests one more mail and wants it dropped.
func (w *whole) wantSuppressed(email string) {
	w.t.Helper()
	before := len(w.inbox.Messages())
	sid := w.ask("v3", "account/3pid", "another", email)
	w.await("the end of the message", func() bool { return w.session(sid).Delivery == "failed" })
	if got := len(w.inbox.Messages()); got != before {
		w.t.Errorf("got %d mails, want no more than %d", got, before)
	}
	list := w.admins("GET", "suppressions", nil, http.StatusOK)
	if !strings.Contains(list.Body, `"reason":"bounce"`) || strings.Contains(list.Body, email) {
		w.t.Errorf("got %s, want one bounce, under a pseudonym", list.Body)
	}
}

func TestBounceByLMTP(t *testing.T) {
	w, addr := looped(t)
	const email = "gone@example.test"
	sid := w.ask("v3", "register", "secret", email)
	tag := w.tagOf(email)
	w.mustLoad(w.loaded) // two configurations have the listener for a moment
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	client := smtp.NewClientLMTP(conn)
	defer client.Close()
	if err := client.Hello("localhost"); err != nil {
		t.Fatal(err)
	}
	if err := client.Mail("", nil); err != nil {
		t.Fatal(err)
	}
	if err := client.Rcpt("bounces+"+strings.Repeat("a", len(tag))+"@example.test", nil); err == nil {
		t.Error("a tag that was made up was accepted")
	}
	if err := client.Rcpt("bounces+"+tag+"@example.test", nil); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join("..", "internal", "feedback", "dsn", "testdata", "postfix_failed.eml"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := client.Data()
	if err != nil {
		t.Fatal(err)
	}
	// An old report says nothing about today.
	fresh := regexp.MustCompile(`[A-Z][a-z]{2}, +\d{1,2} [A-Z][a-z]{2} 2026 [0-9:]{8} [+-]\d{4}`).
		ReplaceAllString(string(raw), time.Now().Format(time.RFC1123Z))
	if _, err := io.WriteString(data, fresh); err != nil {
		t.Fatal(err)
	}
	if err := data.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := w.session(sid).Delivery, "bounced"; got != want {
		t.Errorf("got delivery %q, want %q", got, want)
	}
	w.wantSuppressed(email)
	w.admins("POST", "suppressions/remove", stack.Object{"medium": "email", "address": email}, http.StatusOK)
	w.ask("v3", "account/3pid", "third", email)
	w.link(email)
}

func TestBounceByWebhook(t *testing.T) {
	w, _ := looped(t)
	const email = "gone@example.test"
	sid := w.ask("v3", "register", "secret", email)
	body := stack.Object{
		"RecordType": "Bounce", "Type": "HardBounce", "TypeCode": 1, "Email": email, "BouncedAt": time.Now().UTC().Format(time.RFC3339Nano),
		"Details": "smtp;550 5.1.1 no such mailbox", "Metadata": stack.Object{"threepid-tag": w.tagOf(email)},
	}
	post := func(password string) int {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url()+instance.FeedbackPath+"postmark", strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("hook", password)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if m := w.inbox.Messages()[0]; m.Header("X-PM-Metadata-threepid-tag") != body["Metadata"].(stack.Object)["threepid-tag"] {
		t.Errorf("got tag %q for Postmark, want that of the envelope", m.Header("X-PM-Metadata-threepid-tag"))
	}
	if got := post("wrong"); got != http.StatusForbidden {
		t.Errorf("got %d for a wrong password, want 403", got)
	}
	w.await("the note that it was sent", func() bool { return w.session(sid).Delivery == "sent" })
	if got := post("canary-hook-password"); got != http.StatusOK {
		t.Fatalf("got %d, want 200", got)
	}
	if got := w.session(sid).Delivery; got != "bounced" {
		t.Errorf("got delivery %q, want bounced", got)
	}
	w.wantSuppressed(email)
	// A provider that is not configured is nobody's business.
	a, err := w.client.Do(t.Context(), "POST", instance.FeedbackPath+"mailgun", "", stack.Object{})
	if err != nil || a.Status == http.StatusOK {
		t.Errorf("got %d (%v) for a provider that is not configured", a.Status, err)
	}
	found(t, []string{"canary-hook-password"}, "the log", w.log("caddy.log"))
}

func TestSessionsOfTheOperator(t *testing.T) {
	w := newWhole(t, "off")
	const email = "somebody@example.test"
	sid := w.ask("v3", "register", "secret", email)
	link := w.link(email)
	info := w.session(sid)
	if string(info.SID) != sid || info.Purpose != "register" || info.State != "pending" || info.Sends != 1 || info.Pseudonym == "" {
		t.Errorf("got %+v", info)
	}
	byName := w.admins("POST", "sessions/find", stack.Object{"pseudonym": info.Pseudonym}, http.StatusOK)
	if !strings.Contains(byName.Body, sid) {
		t.Errorf("got %s, want the session found by its pseudonym", byName.Body)
	}
	w.admins("POST", "sessions/resend", stack.Object{"sid": sid}, http.StatusOK)
	if _, err := w.inbox.WaitFor(t.Context(), email); err != nil {
		t.Fatal(err)
	}
	w.admins("POST", "sessions/revoke", stack.Object{"sid": sid}, http.StatusOK)
	w.admins("POST", "sessions/resend", stack.Object{"sid": sid}, http.StatusConflict)
	page, _, err := w.client.Click(t.Context(), link)
	if err != nil || page.Status == http.StatusOK {
		t.Errorf("got %d (%v) for the link of a revoked session", page.Status, err)
	}
	forgotten := w.admins("POST", "addresses/forget", stack.Object{"medium": "email", "address": "Somebody@example.test"}, http.StatusOK)
	if n, _ := forgotten.JSON["entries"].(float64); n == 0 {
		t.Errorf("got %s, want something erased", forgotten.Body)
	}
	w.admins("POST", "sessions/find", stack.Object{"sid": sid}, http.StatusNotFound)
	for path, body := range map[string]stack.Object{
		"sessions/find": {}, "addresses/forget": {"medium": "fax", "address": "1"}, "suppressions/add": {"medium": "email", "address": "x"},
	} {
		w.admins("POST", path, body, http.StatusBadRequest)
	}
	w.admins("POST", "suppressions/add", stack.Object{"medium": "email", "address": email}, http.StatusOK)
	if got := w.admins("GET", "suppressions", nil, http.StatusOK).Body; !strings.Contains(got, `"reason":"manual"`) {
		t.Errorf("got %s, want the operator's word", got)
	}
}
