// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// AuthMethod is how to log in at a relay.
type AuthMethod string

// The methods. None of them is ever used without TLS.
const (
	// AuthAuto takes the strongest that is offered: SCRAM-SHA-256, PLAIN, LOGIN
	// for a password; OAUTHBEARER, XOAUTH2 for a token.
	AuthAuto AuthMethod = "auto"
	// AuthPlain is PLAIN (RFC 4616).
	AuthPlain AuthMethod = "plain"
	// AuthLogin is LOGIN, which was never standardised.
	AuthLogin AuthMethod = "login"
	// AuthSCRAM is SCRAM-SHA-256 (RFC 7677): the relay never sees the password,
	// and has to prove that it knows it.
	AuthSCRAM AuthMethod = "scram-sha-256"
	// AuthSCRAMPlus binds SCRAM-SHA-256 to the TLS connection by tls-exporter
	// (RFC 9266). It is not chosen by itself, as relays that offer it may mean
	// another kind of binding, and do not say which.
	AuthSCRAMPlus AuthMethod = "scram-sha-256-plus"
	// AuthXOAUTH2 is XOAUTH2 as Google and Microsoft have it.
	AuthXOAUTH2 AuthMethod = "xoauth2"
	// AuthOAuthBearer is OAUTHBEARER (RFC 7628).
	AuthOAuthBearer AuthMethod = "oauthbearer"
)

// passwordMethods and tokenMethods are in the order of AuthAuto's preference.
var (
	passwordMethods = []AuthMethod{AuthSCRAM, AuthPlain, AuthLogin}
	tokenMethods    = []AuthMethod{AuthOAuthBearer, AuthXOAUTH2}
)

// mechanism is the method's name in SASL.
func (m AuthMethod) mechanism() string { return strings.ToUpper(string(m)) }

// AuthMethods are the words for a configuration, in the order of documentation.
func AuthMethods() []string {
	return []string{
		string(AuthAuto), string(AuthPlain), string(AuthLogin), string(AuthSCRAM), string(AuthSCRAMPlus),
		string(AuthXOAUTH2), string(AuthOAuthBearer),
	}
}

func (c *SMTPConfig) checkAuth(string) error {
	setDefault(&c.Auth, AuthAuto)
	byToken := slices.Contains(tokenMethods, c.Auth)
	switch {
	case !slices.Contains(AuthMethods(), string(c.Auth)):
		return fmt.Errorf("auth %q must be one of %s", c.Auth, strings.Join(AuthMethods(), ", "))
	case c.Token != nil && c.Password != "":
		return errors.New("either a password or a token is used, not both")
	case c.Token != nil && c.Username == "", c.Token == nil && (c.Username == "") != (c.Password == ""):
		return errors.New("username and password go together, or username and token")
	case byToken && c.Token == nil:
		return fmt.Errorf("auth %s needs a token", c.Auth)
	case c.Token != nil && !byToken && c.Auth != AuthAuto:
		return fmt.Errorf("auth %s needs a password, not a token", c.Auth)
	case c.Auth != AuthAuto && c.Username == "":
		return fmt.Errorf("auth %s needs a username", c.Auth)
	case c.TLS == NoTLS && c.Username != "":
		return errPlainAuth
	}
	if strings.ContainsAny(c.Username, "\x00\x01") || strings.ContainsRune(c.Password, 0) {
		return errors.New("username and password must not have control characters") // they separate fields in PLAIN and XOAUTH2
	}
	return nil
}

// choose returns the method to log in by at a relay.
func (s *SMTP) choose(offers func(mechanism string) bool) (AuthMethod, error) {
	candidates := []AuthMethod{s.cfg.Auth}
	if s.cfg.Auth == AuthAuto {
		candidates = passwordMethods
		if s.cfg.Token != nil {
			candidates = tokenMethods
		}
	}
	for _, method := range candidates {
		if method == AuthSCRAM && s.scram == nil {
			continue // the password is not fit for it
		}
		if offers(method.mechanism()) {
			return method, nil
		}
	}
	return "", errNoAuth
}

// explained says what the relay offered where the log-in failed.
func (s *SMTP) explained(e *SendError, c *smtp.Client) *SendError {
	switch e.Reason {
	case ReasonNoAuth, ReasonAuthRefused, ReasonAuthBroken, ReasonUnproven:
		_, mechanisms := c.Extension("AUTH")
		offered := mechanism.FindAllString(line(mechanisms, maxReason), -1)
		if e.Detail != "" {
			e.Detail += "; "
		}
		e.Detail += "it offers " + cmp.Or(strings.Join(offered, " "), "no log-in at all")
	}
	return e
}

// mechanism is the name of one in SASL (RFC 4422 §3.1).
var mechanism = regexp.MustCompile(`\b[A-Z0-9_-]{1,20}\b`)

// login authenticates, if there is something to do it with, and returns by
// which method. go-sasl would send a password in plain text; Validate has
// refused that already.
func (s *SMTP) login(ctx context.Context, c *smtp.Client, secured *tls.ConnectionState) (AuthMethod, error) {
	if s.cfg.Username == "" {
		return "", nil
	}
	if s.cfg.TLS == NoTLS || secured == nil {
		return "", errPlainAuth
	}
	method, err := s.choose(c.SupportsAuth)
	if err != nil {
		return "", err
	}
	client, err := s.saslClient(ctx, method, secured)
	if err != nil {
		return "", err
	}
	err = c.Auth(client)
	if proof, ok := client.(*scramClient); ok && err == nil && !proof.conversation.Valid() {
		return "", errUnproven // it said yes without having shown that it knows the password
	}
	var garbled base64.CorruptInputError
	if errors.Is(err, sasl.ErrUnexpectedServerChallenge) || errors.As(err, &garbled) {
		return "", errLoginBroken
	}
	return method, err
}

func (s *SMTP) saslClient(ctx context.Context, method AuthMethod, secured *tls.ConnectionState) (sasl.Client, error) {
	switch method {
	case AuthSCRAM:
		return newSCRAM(s.scram, method, nil)
	case AuthSCRAMPlus:
		return newSCRAM(s.scram, method, secured)
	case AuthPlain:
		return sasl.NewPlainClient("", s.cfg.Username, s.cfg.Password), nil
	case AuthLogin:
		return sasl.NewLoginClient(s.cfg.Username, s.cfg.Password), nil
	default: // the methods that take a token
	}
	token, err := s.cfg.Token(ctx)
	if err != nil || !validToken(token) {
		return nil, errNoToken // the error may quote the token
	}
	return &bearerClient{method: method, username: s.cfg.Username, token: token, address: s.cfg.Address}, nil
}
