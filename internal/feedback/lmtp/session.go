// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback/dsn"
)

// Answers. They repeat nothing that the client wrote.
var (
	errUnknown = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such user here"}
	errLater   = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Try again later"}
	errClosing = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "Closing"}
)

// session is one conversation.
type session struct {
	server *Server
	conn   *conn
	rcpts  []recipient
}

// recipient is an accepted one: how the client wrote it, and its tag.
type recipient struct{ mailbox, tag string }

func (s *Server) session(c *smtp.Conn) (smtp.Session, error) {
	select {
	case <-s.done:
		return nil, errClosing
	default:
	}
	own, ok := c.Conn().(*conn)
	if !ok {
		return nil, errClosing // cannot happen: the listener makes no other
	}
	return &session{server: s, conn: own}, nil
}

// Mail implements [smtp.Session]. The sender means nothing: the null sender of
// a bounce can be written by anybody.
func (s *session) Mail(string, *smtp.MailOptions) error {
	s.conn.work(true)
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	tag, ok := s.server.cfg.VERP.Tag(to)
	if ok {
		_, ok = s.server.cfg.Tag(tag)
	}
	if !ok {
		s.server.cfg.Receiver.Note(feedback.Mail, feedback.Forbidden)
		return errUnknown
	}
	s.rcpts = append(s.rcpts, recipient{to, tag})
	return nil
}

// LMTPData implements [smtp.LMTPSession]: one answer for each recipient (RFC
// 2033 §4.2).
func (s *session) LMTPData(r io.Reader, status smtp.StatusCollector) error {
	s.server.mu.Lock()
	s.server.begin()
	s.server.mu.Unlock()
	defer s.server.end()
	raw, err := io.ReadAll(r)
	if errors.Is(err, smtp.ErrDataTooLarge) {
		s.server.cfg.Receiver.Note(feedback.Mail, feedback.TooLarge)
		return smtp.ErrDataTooLarge
	}
	if err != nil {
		return errLater // the client is gone, or too slow
	}
	done := map[string]error{}
	for _, rcpt := range s.rcpts {
		result, again := done[rcpt.tag]
		if !again {
			result = s.server.take(raw, rcpt.tag)
			done[rcpt.tag] = result
		}
		status.SetStatus(rcpt.mailbox, result)
	}
	return nil
}

// Data implements [smtp.Session]; the library calls LMTPData instead.
func (s *session) Data(io.Reader) error { return errLater }

func (s *session) Reset() {
	s.rcpts = nil
	s.conn.work(false)
}

func (s *session) Logout() error { return nil }

// take reads one mail for one tag.
func (s *Server) take(raw []byte, tag string) error {
	reports, err := dsn.Parse(raw, tag, time.Now())
	switch {
	case errors.Is(err, dsn.ErrTooLarge):
		s.cfg.Receiver.Note(feedback.Mail, feedback.TooLarge)
		return smtp.ErrDataTooLarge
	case err != nil, len(reports) == 0:
		s.cfg.Receiver.Note(feedback.Mail, feedback.Ignored)
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Timeout)
	defer cancel()
	if err := s.cfg.Receiver.Receive(ctx, feedback.Mail, reports); err != nil {
		return errLater
	}
	return nil
}
