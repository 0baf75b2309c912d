// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// v2 is where the authenticated API is.
const v2 = "/_matrix/identity/v2"

// object is a JSON object.
type object map[string]any

// Session is a validation session as its owner knows it.
type Session struct {
	SID, ClientSecret string
}

// RequestEmail opens a session for an address, with a client_secret of its
// own, and makes the server send a mail (v2/validate/email/requestToken).
func (s *Server) RequestEmail(ctx context.Context, accessToken, email string) (Session, error) {
	session := Session{ClientSecret: rand.Text()}
	a, err := s.must(ctx, http.MethodPost, v2+"/validate/email/requestToken", accessToken,
		object{"email": email, "client_secret": session.ClientSecret, "send_attempt": 1})
	if err != nil {
		return session, fmt.Errorf("request a token: %w", err)
	}
	session.SID = a.Text("sid")
	return session, nil
}

// Submit hands in the code of a mail (v2/validate/email/submitToken).
func (s *Server) Submit(ctx context.Context, accessToken string, session Session, code string) error {
	a, err := s.must(ctx, http.MethodPost, v2+"/validate/email/submitToken", accessToken,
		object{"sid": session.SID, "client_secret": session.ClientSecret, "token": code})
	// A refusal is a 200 as well.
	if success, _ := a.JSON["success"].(bool); err == nil && !success {
		err = fmt.Errorf("sydent answered %v", a)
	}
	if err != nil {
		return fmt.Errorf("submit the token: %w", err)
	}
	return nil
}

// Code returns the code in a mail of the server's.
func Code(mail smtptest.Message) (string, error) {
	link, _ := mail.Link()
	u, err := url.Parse(link)
	if err != nil || u.Query().Get("token") == "" {
		return "", errors.New("the mail has no link with a token")
	}
	return u.Query().Get("token"), nil
}

// Validate proves an address to the server: it requests a mail, waits for it
// in the inbox and submits what is in it.
func (s *Server) Validate(ctx context.Context, accessToken, email string, inbox *smtptest.Server) (Session, error) {
	session, err := s.RequestEmail(ctx, accessToken, email)
	if err != nil {
		return session, err
	}
	mail, err := inbox.WaitFor(ctx, email)
	if err != nil {
		return session, fmt.Errorf("wait for the mail: %w", err)
	}
	code, err := Code(mail)
	if err != nil {
		return session, err
	}
	return session, s.Submit(ctx, accessToken, session, code)
}
