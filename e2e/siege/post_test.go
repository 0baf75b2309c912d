// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// post is the relay and the gateway, all mailboxes and all phones.
type post struct {
	mu      sync.Mutex
	arrived []letter
	// readers are called for what arrives at an address, or at a number.
	readers map[string]func(letter)
	letters []letter     // all, without their texts
	seen    func(letter) // is called for each, if set
}

// letter is a mail or a short message.
type letter struct {
	to   string
	at   time.Time
	text string // of an SMS
	sid  string // the session that a mail is of, or empty: a notice is of none
	mail smtptest.Message
	sms  bool
}

func newPost() *post { return &post{readers: map[string]func(letter){}} }

// From implements guest.Mailer.
func (p *post) From() string { return "Matrix <matrix@example.org>" }

// Send implements guest.Mailer.
func (p *post) Send(_ context.Context, from, to string, message []byte) error {
	p.arrive(letter{to: to, mail: smtptest.Message{From: from, To: to, Raw: message}})
	return nil
}

// phones are the gateway.
type phones struct{ *post }

// Send implements guest.SMSGateway.
func (p phones) Send(_ context.Context, m guest.SMS) (string, error) {
	p.arrive(letter{to: m.To, text: m.Text, sms: true})
	return "", nil
}

func (p *post) arrive(l letter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.at = time.Now()
	p.arrived = append(p.arrived, l)
}

// deliver hands out what has arrived.
func (p *post) deliver() {
	p.mu.Lock()
	arrived := p.arrived
	p.arrived = nil
	p.mu.Unlock()
	for _, l := range arrived {
		if !l.sms {
			_, l.sid = l.unsubscribe()
		}
		p.letters = append(p.letters, letter{to: l.to, at: l.at, sms: l.sms, sid: l.sid})
		if p.seen != nil {
			p.seen(l)
		}
		if reader := p.readers[l.to]; reader != nil {
			reader(l)
		}
	}
}

// link is the one that proves the address, if the mail has one, and the session that it
// is of.
func (l letter) link() (link, sid string) {
	link, _ = l.mail.Link()
	u, err := url.Parse(link)
	if err != nil || u.Query().Get("token") == "" {
		return "", ""
	}
	return link, u.Query().Get("sid")
}

// unsubscribe is where a mail program posts that its reader wants no such mails, and the
// session that this one is of.
func (l letter) unsubscribe() (link, sid string) {
	link = strings.Trim(l.mail.Header("List-Unsubscribe"), "<>")
	u, err := url.Parse(link)
	if err != nil {
		return "", ""
	}
	return link, u.Query().Get("sid")
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// code is that of a short message.
func (l letter) code() string { return sixDigits.FindString(l.text) }
