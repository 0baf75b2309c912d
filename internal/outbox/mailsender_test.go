// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	transport "github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// relay is a mail transport that remembers what it was given.
type relay struct {
	from, to string
	mails    []string
	err      error
}

func (r *relay) Send(_ context.Context, from, to string, message []byte) error {
	r.from, r.to = from, to
	r.mails = append(r.mails, string(message))
	return r.err
}

// loadWords renders every mail there is, to check it: once is enough.
var loadWords = sync.OnceValues(func() (*words.Set, error) { return words.New("matrix.example.org") })

func newMailSender(t *testing.T, tr MailTransport) *MailSender {
	t.Helper()
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	return &MailSender{
		From: "Example <noreply@mail.example.org>", Transport: tr, Templates: words, Keys: testKeys(t, 1),
		Link: func(sid threepid.SID, token threepid.Token) string {
			return "https://matrix.example.org/confirm?sid=" + string(sid) + "&token=" + string(token)
		},
	}
}

// mailed runs one outbox over a real SMTP server until m has arrived.
func mailed(t *testing.T, m verification.Message) smtptest.Message {
	t.Helper()
	server, err := smtptest.Start(smtptest.Options{Mode: smtptest.STARTTLS})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	smtp, err := transport.NewSMTP(transport.SMTPConfig{Address: server.Addr(), TLS: transport.STARTTLS, RootCAs: server.CertPool()})
	if err != nil {
		t.Fatal(err)
	}
	defer smtp.Close()
	r := newRig(t)
	o := r.outbox(newMailSender(t, smtp))
	o.Start()
	o.Wake(r.put(o, m).partition, m.ID)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	got, err := server.WaitFor(ctx, m.Address)
	if err != nil {
		t.Fatal(err, r.diary.all())
	}
	r.stop(o)
	r.wantOutcomes("sent")
	r.wantStored(0)
	return got
}

// TestR23_EmailIsSentByOurselves: from the outbox over SMTP to the reader,
// with no identity server in between; all three purposes, link and code.
func TestR23_EmailIsSentByOurselves(t *testing.T) {
	for _, purpose := range []threepid.Purpose{threepid.Register, threepid.Password, threepid.Add} {
		for _, proof := range []verification.Proof{verification.ProofLink, verification.ProofCode} {
			m := message(1)
			m.Purpose, m.Proof = purpose, proof
			if proof == verification.ProofCode {
				m.Token = "041592"
			}
			got := mailed(t, m)
			if got.To != testAddress || got.From != "noreply@mail.example.org" || !got.Encrypted {
				t.Errorf("envelope = %q to %q, encrypted: %v", got.From, got.To, got.Encrypted)
			}
			if h := got.Header("To"); h != "<"+testAddress+">" {
				t.Errorf("To = %q, want the one recipient", h)
			}
			if !strings.Contains(got.Text(), string(m.Token)) || !strings.Contains(got.HTML(), string(m.Token)) {
				t.Errorf("%s: the token is missing in:\n%s", purpose, got.Text())
			}
			if link, ok := got.Link(); ok != (proof == verification.ProofLink) {
				t.Errorf("%s: link = %q", purpose, link)
			}
		}
	}
}

// TestR28_PasswordResetTokenIsMailed to the address that was given.
func TestR28_PasswordResetTokenIsMailed(t *testing.T) {
	m := message(1)
	got := mailed(t, m)
	if want := "Reset your password on matrix.example.org"; got.Subject() != want {
		t.Errorf("subject = %q, want %q", got.Subject(), want)
	}
	want := "https://matrix.example.org/confirm?sid=" + string(m.SID) + "&token=" + string(m.Token)
	if link, _ := got.Link(); link != want {
		t.Errorf("link = %q, want %q", link, want)
	}
}

// TestMessageIDIsStableAcrossRetries: the same id and date for every try of
// one message, another one for the next message of the session, and nothing
// in it that leads to the session.
func TestMessageIDIsStableAcrossRetries(t *testing.T) {
	grammar := regexp.MustCompile(`^<[a-z0-9]{20,}@mail\.example\.org>$`)
	ids, dates := map[string]bool{}, map[string]bool{}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		tr := &relay{err: sendError{text: "later", temporary: true}}
		o := r.outbox(newMailSender(t, tr))
		m := message(1)
		r.put(o, m)
		o.Start()
		time.Sleep(30 * time.Minute)
		r.stop(o)
		if len(tr.mails) < 4 {
			t.Fatalf("%d tries in half an hour", len(tr.mails))
		}
		for _, raw := range tr.mails {
			parsed, err := mail.ReadMessage(strings.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			id := parsed.Header.Get("Message-Id")
			if !grammar.MatchString(id) || strings.Contains(id, strings.ToLower(string(m.SID))) {
				t.Errorf("Message-ID = %q", id)
			}
			ids[id], dates[parsed.Header.Get("Date")] = true, true
		}
		if date := m.Created.UTC().Format(time.RFC1123Z); len(ids) != 1 || len(dates) != 1 || !dates[date] {
			t.Errorf("ids = %v, dates = %v, want one of each, the date %s", ids, dates, date)
		}
	})
	s := newMailSender(t, &relay{})
	m := message(1)
	m.ID = string(m.SID + ".2")
	if ids[s.messageID(m, "noreply@mail.example.org")] {
		t.Error("the second message of a session has the id of the first")
	}
	first := s.messageID(m, "noreply@mail.example.org")
	s.Keys = testKeys(t, 2)
	if s.messageID(m, "noreply@mail.example.org") == first {
		t.Error("whoever knows the sid can compute the id without the key")
	}
}

// TestMailSenderErrors: what is the transport's error stays what it is, what is
// ours is final, and neither reaches the transport nor tells the address.
func TestMailSenderErrors(t *testing.T) {
	later := sendError{text: "later", temporary: true}
	tests := []struct {
		name      string
		change    func(s *MailSender, m *verification.Message)
		temporary bool
	}{
		{"transport", func(*MailSender, *verification.Message) {}, true},
		{"sender's address", func(s *MailSender, _ *verification.Message) { s.From = "nobody" }, false},
		{"recipient", func(_ *MailSender, m *verification.Message) { m.Address = "eve@x.org>\r\nBcc: <" + testAddress }, false},
		{"purpose", func(_ *MailSender, m *verification.Message) { m.Purpose = "bind" }, false},
		{"link", func(s *MailSender, _ *verification.Message) {
			s.Link = func(_ threepid.SID, token threepid.Token) string { return string(token) }
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := &relay{err: later}
			s, m := newMailSender(t, tr), message(1)
			tt.change(s, &m)
			err := s.Send(t.Context(), m)
			if err == nil || temporary(err) != tt.temporary {
				t.Fatalf("Send = %v, want an error that is temporary: %v", err, tt.temporary)
			}
			if (len(tr.mails) > 0) != tt.temporary {
				t.Errorf("%d mails reached the transport", len(tr.mails))
			}
			if strings.Contains(err.Error(), testAddress) || strings.Contains(err.Error(), string(m.Token)) {
				t.Errorf("the error %q tells a secret", err)
			}
		})
	}
}

// TestCheckFindsWhatWouldFailLater, before the first reader waits for a mail.
func TestCheckFindsWhatWouldFailLater(t *testing.T) {
	tr := &relay{}
	s := newMailSender(t, tr)
	if err := s.Check(); err != nil {
		t.Errorf("Check() = %v", err)
	}
	s.From = "Example <noreply@[192.0.2.1]>"
	if err := s.Check(); !errors.Is(err, transport.ErrInvalidSender) {
		t.Errorf("Check() with a bad sender = %v, want ErrInvalidSender", err)
	}
	s = newMailSender(t, tr)
	s.Link = func(threepid.SID, threepid.Token) string { return "/relative" }
	if err := s.Check(); err == nil {
		t.Error("Check() accepts links that do not work")
	}
	// The longest name that the templates accept must fit the composer too.
	for length := 80; length > 40; length-- {
		words, err := words.New(strings.Repeat("h", length))
		if err != nil {
			continue
		}
		s = newMailSender(t, tr)
		s.Templates = words
		if err := s.Check(); err != nil {
			t.Errorf("Check() with a server name of %d characters = %v", length, err)
		}
		break
	}
	if len(tr.mails) != 0 {
		t.Error("Check sent mail")
	}
}

// TestEveryMailCanBeRefused: by the link in its text, and with one click in the
// mail program (RFC 8058 wants https for that); in the reader's language.
func TestEveryMailCanBeRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(s *MailSender, m *verification.Message)
		link   string // in the text
		list   string // in the header
		lang   string
	}{
		{"https", func(*MailSender, *verification.Message) {}, "https://m.example/refuse/", "https://m.example/refuse/", "en"},
		{"German", func(_ *MailSender, m *verification.Message) { m.Language = "de" }, "https://m.example/refuse/", "https://m.example/refuse/", "de"},
		{"http", func(s *MailSender, _ *verification.Message) {
			s.Refuse = func(sid threepid.SID, refusal threepid.RefusalToken) string {
				return "http://m.example/refuse/" + string(sid) + "/" + string(refusal)
			}
		}, "http://m.example/refuse/", "", "en"},
		{"a brand that is gone", func(_ *MailSender, m *verification.Message) { m.Brand = "gone" }, "https://m.example/refuse/", "https://m.example/refuse/", "en"},
		{"of an earlier version", func(_ *MailSender, m *verification.Message) { m.Refusal = "" }, "", "", ""},
		{"no such page", func(s *MailSender, _ *verification.Message) { s.Refuse = nil }, "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := &relay{}
			s, m := newMailSender(t, tr), message(1)
			s.Refuse = func(sid threepid.SID, refusal threepid.RefusalToken) string {
				return "https://m.example/refuse/" + string(sid) + "/" + string(refusal)
			}
			tt.change(s, &m)
			if err := errors.Join(s.Check(), s.Send(t.Context(), m)); err != nil {
				t.Fatal(err)
			}
			got := smtptest.Message{Raw: []byte(tr.mails[0])}
			if want := tt.link + string(m.SID) + "/" + string(m.Refusal); strings.Contains(got.Text(), want) != (tt.link != "") {
				t.Errorf("the text has the link to refuse, or not:\n%s", got.Text())
			}
			want := ""
			if tt.list != "" {
				want = "<" + tt.list + string(m.SID) + "/" + string(m.Refusal) + ">"
			}
			if h := got.Header("List-Unsubscribe"); h != want {
				t.Errorf("List-Unsubscribe = %q, want %q", h, want)
			}
			if h := got.Header("List-Unsubscribe-Post"); (h == "List-Unsubscribe=One-Click") != (tt.list != "") {
				t.Errorf("List-Unsubscribe-Post = %q", h)
			}
			if h := got.Header("Content-Language"); h != tt.lang {
				t.Errorf("Content-Language = %q, want %q", h, tt.lang)
			}
		})
	}
}

// TestBounceAddress: the envelope's sender is made for the message, the one in
// the header stays, and so does the Message-ID.
func TestBounceAddress(t *testing.T) {
	r := newRig(t)
	svc := r.service(r.outbox(nil))
	opened, err := svc.RequestToken(t.Context(), ask("s1"))
	if err != nil {
		t.Fatal(err)
	}
	tr := &relay{}
	s, m := newMailSender(t, tr), message(1)
	m.SID, m.ID = opened.SID, string(opened.SID+".1")
	if err := s.Send(t.Context(), m); err != nil || tr.from != "noreply@mail.example.org" {
		t.Fatalf("sent by %q, %v", tr.from, err)
	}
	s.Bounce = func(m verification.Message) string {
		return "bounces+" + strings.ToLower(string(m.SID)) + "@mail.example.org"
	}
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if want := "bounces+" + strings.ToLower(string(opened.SID)) + "@mail.example.org"; tr.from != want {
		t.Errorf("sent by %q, want %q", tr.from, want)
	}
	before, after := smtptest.Message{Raw: []byte(tr.mails[0])}, smtptest.Message{Raw: []byte(tr.mails[1])}
	for _, name := range []string{"From", "Message-Id", "Date"} {
		if before.Header(name) != after.Header(name) {
			t.Errorf("%s = %q, and without a bounce address %q", name, after.Header(name), before.Header(name))
		}
	}
	s.Bounce = func(verification.Message) string { return "" }
	if err := s.Send(t.Context(), m); err != nil || tr.from != "noreply@mail.example.org" {
		t.Errorf("without an address for it: sent by %q, %v", tr.from, err)
	}
}

// TestAMailWithACodeLeadsToItsPage, which takes the code where the app has no field.
// A mail with a link needs no second way.
func TestAMailWithACodeLeadsToItsPage(t *testing.T) {
	s := newMailSender(t, &relay{})
	s.Page = func(sid threepid.SID) string {
		return "https://matrix.example.org/code?sid=" + string(sid) + "&with=code"
	}
	for proof, want := range map[verification.Proof]bool{verification.ProofCode: true, verification.ProofLink: false} {
		words, links, err := s.words(verification.Message{
			ID: "0aSid.1", SID: "0aSid", Purpose: threepid.Register, Medium: threepid.Email, Proof: proof, Address: "a@example.org",
			Token: "123456", Created: time.Unix(0, 0), Expires: time.Unix(3600, 0), Refusal: "x",
		})
		if err != nil {
			t.Fatal(err)
		}
		link := s.Page("0aSid")
		if has := strings.Contains(words.Text, "\n"+link+"\n"); has != want || (links.Page != "") != want {
			t.Errorf("proof %d: the page is in the mail: %v, want %v\n%s", proof, has, want, words.Text)
		}
	}
}
