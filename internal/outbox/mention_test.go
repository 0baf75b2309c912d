// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net/mail"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	transport "github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

type openRequests struct {
	another bool
	err     error
	asked   int
}

func (o *openRequests) NoteOpen(context.Context, verification.Message) (bool, error) {
	o.asked++
	return o.another, o.err
}

type lastSent struct{ verification.Message }

func (l *lastSent) Send(_ context.Context, m verification.Message) error {
	l.Message = m
	return nil
}

// TestMentioningNeverHoldsAMessageBack: it is sent whatever can be found out, and
// of a decoy or a notice nothing is asked.
func TestMentioningNeverHoldsAMessageBack(t *testing.T) {
	for name, c := range map[string]struct {
		message verification.Message
		open    openRequests
		want    bool
		asked   int
	}{
		"alone":            {verification.Message{ID: "1"}, openRequests{}, false, 1},
		"with another":     {verification.Message{ID: "2"}, openRequests{another: true}, true, 1},
		"the store is ill": {verification.Message{ID: "3"}, openRequests{another: true, err: errors.New("the disk is gone")}, false, 1},
		"a decoy":          {verification.Message{ID: "4", Decoy: true}, openRequests{another: true}, false, 0},
		"a notice":         {verification.Message{ID: "5", Notice: verification.NoticeGone}, openRequests{another: true}, false, 0},
	} {
		var sent lastSent
		open := c.open
		err := (&MentionSender{Sender: &sent, Open: &open}).Send(t.Context(), c.message)
		if err != nil || sent.ID != c.message.ID || sent.Another != c.want || open.asked != c.asked {
			t.Errorf("%s: sent %+v (%v), asked %d times, want %v and %d", name, sent, err, open.asked, c.want, c.asked)
		}
	}
}

// TestNoticeIsMailed: in its language, with nothing that acts, not even for a
// program that unsubscribes.
func TestNoticeIsMailed(t *testing.T) {
	tr := &relay{}
	s := newMailSender(t, tr)
	s.Refuse = func(sid, refusal string) string {
		return "https://matrix.example.org/refuse?sid=" + sid + "&refusal=" + refusal
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	err := s.Send(t.Context(), verification.Message{
		ID: "00abc.1", SID: "00abc", Purpose: verification.Notified, Medium: verification.Email, Notice: verification.NoticeGone, Brand: "removed",
		Address: "alice@example.com", Language: "de", Created: now, Expires: now.Add(time.Hour),
	})
	if err != nil || len(tr.mails) != 1 {
		t.Fatalf("sent %d mails: %v", len(tr.mails), err)
	}
	m, err := mail.ReadMessage(strings.NewReader(tr.mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	if lang, list := m.Header.Get("Content-Language"), m.Header.Get("List-Unsubscribe"); lang != "de" || list != "" {
		t.Errorf("language %q, List-Unsubscribe %q", lang, list)
	}
	if strings.Contains(tr.mails[0], "://") {
		t.Errorf("the mail has a link:\n%s", tr.mails[0])
	}
}

// TestLinksOfEachKind: a mail has the links that are of use to its reader, and none
// that would do what nobody has proved.
func TestLinksOfEachKind(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(m *verification.Message)
		want   string
	}{
		"link":            {func(*verification.Message) {}, "confirm check refuse"},
		"code":            {func(m *verification.Message) { m.Proof, m.Token = verification.ProofCode, "123456" }, "page refuse"},
		"decoy of a link": {func(m *verification.Message) { m.Decoy, m.Token = true, "" }, "refuse"},
		"decoy of a code": {func(m *verification.Message) { m.Decoy, m.Token, m.Proof = true, "", verification.ProofCode }, "refuse"},
		"notice": {func(m *verification.Message) {
			m.Purpose, m.Notice, m.Token, m.Refusal = verification.Notified, verification.NoticeGone, "", ""
		}, ""},
		"of an old version": {func(m *verification.Message) { m.Refusal = "" }, "confirm check"},
	} {
		s, m := newMailSender(t, nil), message(1)
		s.Page = func(sid string) string { return "https://matrix.example.org/code?sid=" + sid }
		s.Refuse = func(sid, refusal string) string {
			return "https://matrix.example.org/refuse?sid=" + sid + "&t=" + refusal
		}
		tt.change(&m)
		_, links, err := s.words(m)
		var got []string
		for _, l := range [][3]string{
			{"confirm", links.Confirm, s.Link(m.SID, m.Token)},
			{"check", links.Check, verification.PressCode(s.Keys, m.SID, m.Token)},
			{"page", links.Page, s.Page(m.SID)},
			{"refuse", links.Refuse, s.Refuse(m.SID, m.Refusal)},
		} {
			if l[1] == l[2] {
				got = append(got, l[0])
			} else if l[1] != "" {
				t.Errorf("%s: %s is %q, want %q", name, l[0], l[1], l[2])
			}
		}
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got the links %v, %v, want %s", name, got, err, tt.want)
		}
	}
}

// TestMessagesOfABrand are in its words, mails as well as texts, and signed if that is
// configured.
func TestMessagesOfABrand(t *testing.T) {
	words, err := words.Load(words.Options{Server: "matrix.example.org", Brands: []string{"acme"}, Folder: fstest.MapFS{
		"brands/acme/en/words.txt": {Data: []byte(`{{define "link button"}}On to Acme{{end}}` +
			`{{define "password sms"}}{{.Code}} is your Acme code for {{.Server}}.{{end}}`)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for brand, want := range map[string]bool{"acme": true, "": false} {
		tr, h := &relay{}, &handset{}
		mails, texts := newMailSender(t, tr), smsSender(t, h)
		mails.Templates, texts.Templates, texts.Tag = words, words, nil
		mails.Refuse = func(sid, refusal string) string { return "https://m.example/refuse/" + sid + "/" + refusal }
		if want {
			mails.DKIM = &transport.DKIM{Domain: "mail.example.org", Selector: "s1", Signer: key}
		}
		m, phone := message(1), toPhone(1)
		m.Brand, phone.Brand = brand, brand
		if err := errors.Join(mails.Send(t.Context(), m), texts.Send(t.Context(), phone)); err != nil {
			t.Fatal(err)
		}
		if got := (smtptest.Message{Raw: []byte(tr.mails[0])}); strings.Contains(got.HTML(), "On to Acme") != want || (got.Header("DKIM-Signature") != "") != want {
			t.Errorf("brand %q: got\n%s", brand, got.Raw)
		}
		if got := h.got[0]; strings.Contains(got.Text, "Acme") != want || got.Tag != "" {
			t.Errorf("brand %q: got %+v", brand, got)
		}
	}
}
