// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"
	"golang.org/x/time/rate"
)

// SMTP is a transport to one relay, with a few reused connections.
type SMTP struct {
	cfg  SMTPConfig
	tls  *tls.Config
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	// hostname is the name of this machine.
	hostname func() (string, error)
	scram    *scram.Client // nil where the password is not fit for it
	seen     features
	limiter  *rate.Limiter // nil means no limit
	slots    chan struct{} // one for each message that is being sent
	waiting  chan struct{} // one for each that waits for a slow answer besides
	keep     time.Duration // how long a connection is kept idle
	most     int           // mails over one connection
	probe    time.Duration // how long an idle one is trusted without a question
	closed   chan struct{}

	mu     sync.Mutex
	idle   []*conn // the one used last is at the end
	reaper *time.Timer
	down   bool
}

// NewSMTP makes a transport. It opens no connection.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &SMTP{
		cfg: cfg, keep: idleTime, most: maxMails, probe: probeAfter, dial: new(net.Dialer).DialContext, hostname: os.Hostname,
		slots: make(chan struct{}, cfg.MaxConnections), waiting: make(chan struct{}, cfg.MaxConnections), closed: make(chan struct{}),
		tls: &tls.Config{ServerName: cfg.ServerName, RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
	}
	if cfg.Rate > 0 {
		// A tenth of a second's worth may go at once: timers are coarser than
		// the distance between two messages can be.
		s.limiter = rate.NewLimiter(rate.Limit(cfg.Rate), int(math.Ceil(cfg.Rate/10)))
	}
	if cfg.Password != "" {
		client, err := scram.SHA256.NewClient(cfg.Username, cfg.Password, "")
		if err == nil {
			s.scram = client
		} else if cfg.Auth == AuthSCRAM || cfg.Auth == AuthSCRAMPlus {
			return nil, fmt.Errorf("auth %s: username or password has characters that SASLprep (RFC 4013) does not allow", cfg.Auth)
		}
	}
	return s, nil
}

// Send delivers a message to the relay. A reused connection that turns out to
// be dead before the message was sent is replaced once.
func (s *SMTP) Send(ctx context.Context, from, to string, message []byte) error {
	t, failed := s.turn(ctx)
	if failed != nil {
		return failed
	}
	defer t.end()
	return t.send(ctx, from, to, message)
}

// turn is a mail's: its place among those that are being sent, and its time.
type turn struct {
	*place
	smtp  *SMTP
	until time.Time
}

// turn waits for one.
func (s *SMTP) turn(ctx context.Context) (*turn, *SendError) {
	t := &turn{smtp: s, until: time.Now().Add(s.cfg.Timeout)}
	ctx, cancel := context.WithDeadline(ctx, t.until)
	defer cancel()
	leave, failed := s.admit(ctx)
	t.place = &place{leave: leave, waiting: s.waiting, done: make(chan struct{})}
	return t, failed
}

func (t *turn) send(ctx context.Context, from, to string, message []byte) error {
	if !bare(from) {
		return ErrInvalidSender
	}
	if !bare(to) {
		return ErrInvalidRecipient
	}
	s, patience := t.smtp, patienceOf(ctx)
	ctx, cancel := context.WithDeadline(ctx, t.until)
	defer cancel()
	for {
		c, reused, failed := s.take(ctx)
		if failed != nil {
			return failed
		}
		h := &handover{Patience: patience, conn: c.net, leave: t.step, slow: s.cfg.Slow}
		failed, usable := deliver(ctx, c, h, from, to, message)
		s.give(c, usable)
		if failed == nil {
			return nil
		}
		stale := reused && failed.Stage != "data" && (failed.Code == 0 || failed.Code == 421)
		if !stale || !failed.Temporary() || ctx.Err() != nil {
			return failed
		}
	}
}

// deliver runs one mail transaction, and tells whether the connection can be
// used for another. The deadline that go-smtp sets does not cover writing the
// body, so the context closes the connection, until the mail is handed over.
func deliver(ctx context.Context, c *conn, h *handover, from, to string, message []byte) (failed *SendError, usable bool) {
	h.limit = context.AfterFunc(ctx, func() { _ = c.net.Close() })
	c.used++
	c.replies.handed = h.begin
	stage, err := transact(c, from, to, message)
	c.replies.handed = nil
	stop := h.limit
	if h.begun.Load() {
		stop = h.end
	}
	switch {
	case err == nil:
		return nil, stop()
	case h.begun.Load():
		failed = h.unanswered(err)
	default:
		failed = failure(ctx, stage, err)
	}
	usable = failed.refused() && c.Reset() == nil
	return failed, stop() && usable
}

// transact returns the stage at which it failed.
func transact(c *conn, from, to string, message []byte) (stage string, err error) {
	opts := &smtp.MailOptions{Size: int64(len(message))} // for relays that offer SIZE
	if err := envelope(c, opts, from, to, message); err != nil {
		return "mail", err
	}
	if err := c.Mail(from, opts); err != nil {
		return "mail", err
	}
	if err := c.Rcpt(to, nil); err != nil {
		return "rcpt", err
	}
	w, err := c.Data()
	if err != nil {
		return "data", err
	}
	if _, err := bytes.NewReader(message).WriteTo(w); err != nil {
		return "data", err
	}
	if err := w.Close(); err != nil {
		return "data", err
	}
	return "", nil
}

// envelope compares what the mail needs with what the relay offers. An address
// with other letters than ASCII must be asked for (RFC 6531 §3.4), and so must
// a message with any (RFC 6152); go-smtp asks for the second wherever it can.
func envelope(c *conn, opts *smtp.MailOptions, from, to string, message []byte) error {
	if !ascii(from) || !ascii(to) {
		if ok, _ := c.Extension("SMTPUTF8"); !ok {
			return errNoSMTPUTF8
		}
		opts.UTF8 = true
	}
	if ok, _ := c.Extension("8BITMIME"); !ok && bytes.ContainsFunc(message, func(r rune) bool { return r > 0x7f }) {
		return errNo8BITMIME
	}
	return nil
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e })
}
