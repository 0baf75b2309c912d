// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/sms/gsm7"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// What is wrong with a test message before anything is sent.
var (
	ErrNotAddress = errors.New("'to' is neither an email address nor a phone number that begins with +")
	ErrNotNumber  = errors.New("'to' is not a phone number that messages may go to")
	ErrNoMailer   = errors.New("there is no mailer: it is switched off in the configuration")
)

// SentTest is what became of a test message.
type SentTest struct {
	// Err says why it was not sent.
	Err error
	// Folder is where it was written, if nothing is sent.
	Folder string
	// Phone says that it was a text.
	Phone bool
}

// SendTest sends one mail or text past the queue, so that the operator sees at
// once what the relay or the gateway says to it.
func (i *Instance) SendTest(ctx context.Context, to string) (SentTest, error) {
	if number := input.NumberOrWord(to); strings.HasPrefix(number, "+") {
		return i.sendTestSMS(ctx, number)
	}
	email, err := address.Email(input.Address(to))
	switch {
	case err != nil:
		return SentTest{}, ErrNotAddress
	case i.cfg.Mailer == nil:
		return SentTest{}, ErrNoMailer
	}
	raw, from, err := i.testMail(email)
	if err != nil {
		return SentTest{}, err
	}
	return SentTest{Err: posting{i.cfg.Mailer}.Send(ctx, from, email, raw), Folder: folderOf(i.cfg.Mailer)}, nil
}

// testMail composes a mail that carries no token.
func (i *Instance) testMail(to string) (raw []byte, from string, err error) {
	_, from, err = mail.Sender(i.cfg.Mailer.From())
	if err != nil {
		return nil, "", err
	}
	server := i.cfg.HTTP.PublicURL
	raw, err = mail.Compose(mail.Message{
		From: i.cfg.Mailer.From(), To: to, Subject: "Test of " + server,
		Text:      "This mail was sent by the operator of " + server + " to test its mail relay. There is nothing to do.\n",
		HTML:      "<p>This mail was sent by the operator of this server to test its mail relay. There is nothing to do.</p>",
		MessageID: testMessageID(from), Date: time.Now(), DKIM: signerOf(i.cfg.Mailer),
	})
	return raw, from, err
}

// testMessageID is a new one for each test mail.
func testMessageID(from string) string {
	return "<" + strings.ToLower(rand.Text()) + from[strings.LastIndexByte(from, '@'):] + ">"
}

// sendTestSMS sends one text. It is paid for like any other.
func (i *Instance) sendTestSMS(ctx context.Context, to string) (SentTest, error) {
	if i.phones == nil {
		return SentTest{}, ErrNoSMS
	}
	number, err := phone.Parse(to, "GB", i.cfg.SMS.Numbers) // it begins with "+": the country does not matter
	if err != nil {
		return SentTest{}, ErrNotNumber
	}
	m := sms.Message{ID: "test", To: number.Digits, Text: "Test of " + hostOf(i.cfg.HTTP.PublicURL) + ". There is nothing to do."}
	count := gsm7.Of(m.Text)
	m.Segments, m.Unicode = count.Segments, count.Unicode
	_, err = i.phones.shield.Reserve(ctx, smsfraud.Request{Digits: number.Digits, Region: number.Region, Class: ratelimit.Owner, Segments: m.Segments})
	if err != nil {
		return SentTest{}, &UnpaidError{err}
	}
	sent := SentTest{Phone: true}
	_, _, sent.Err = i.phones.router.Send(ctx, number.Region, m)
	if folders := i.folders(threepid.MSISDN); len(folders) == len(i.cfg.Gateways) {
		sent.Folder = folders[0]
	}
	return sent, nil
}

// hostOf is the host of an origin.
func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return origin
	}
	return u.Host
}
