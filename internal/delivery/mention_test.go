// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
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
		err := (&Mentioning{Sender: &sent, Open: &open}).Send(t.Context(), c.message)
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
