// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"
)

// The mechanisms that go-sasl has not.
const (
	scramMechanism     = "SCRAM-SHA-256"
	scramPlusMechanism = "SCRAM-SHA-256-PLUS"
	xoauth2Mechanism   = "XOAUTH2"
)

// SCRAMFault is how the server's side of SCRAM misbehaves.
type SCRAMFault uint8

// The faults: what a server does that does not know the password.
const (
	SCRAMForged  SCRAMFault = iota + 1 // it sends a signature that is wrong
	SCRAMSkipped                       // it says yes without any
)

func (c *session) AuthMechanisms() []string {
	switch {
	case c.s.opts.Username == "":
		return nil
	case c.s.opts.Mechanisms != nil:
		return c.s.opts.Mechanisms
	}
	return []string{sasl.Plain}
}

func (c *session) Auth(mechanism string) (sasl.Server, error) {
	switch {
	case !slices.Contains(c.AuthMechanisms(), mechanism):
	case mechanism == sasl.Plain:
		return sasl.NewPlainServer(func(_, username, password string) error {
			return c.login(username, password)
		}), nil
	case mechanism == sasl.Login:
		return &loginServer{check: c.login}, nil
	case mechanism == scramMechanism, mechanism == scramPlusMechanism:
		return c.scram(mechanism == scramPlusMechanism)
	case mechanism == sasl.OAuthBearer:
		return &oauthServer{sasl.NewOAuthBearerServer(func(opts sasl.OAuthBearerOptions) *sasl.OAuthBearerError {
			if c.bearer(opts.Username, opts.Token) != nil {
				return &sasl.OAuthBearerError{Status: "invalid_token", Schemes: "bearer"}
			}
			return nil
		})}, nil
	case mechanism == xoauth2Mechanism:
		return &xoauth2Server{check: c.bearer}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (c *session) login(username, password string) error {
	if err := c.fail("AUTH", username); err != nil {
		return err
	}
	if username != c.s.opts.Username || password != c.s.opts.Password {
		return smtp.ErrAuthFailed
	}
	c.authed = true
	return nil
}

// loginServer is the server's side of LOGIN, which go-sasl has not.
type loginServer struct {
	check    func(username, password string) error
	username *string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	answer := string(response)
	switch {
	case l.username != nil:
		return nil, true, l.check(*l.username, answer)
	case response == nil:
		return []byte("Username:"), false, nil
	}
	l.username = &answer
	return []byte("Password:"), false, nil
}

// bearer checks a token.
func (c *session) bearer(username, token string) error {
	if err := c.fail("AUTH", username); err != nil {
		return err
	}
	if c.s.opts.Token == "" || username != c.s.opts.Username || token != c.s.opts.Token {
		return smtp.ErrAuthFailed
	}
	c.authed = true
	return nil
}

// oauthServer replies to what go-sasl refuses as real servers do; go-smtp would
// call it a passing fault.
type oauthServer struct{ sasl.Server }

func (o *oauthServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if challenge, done, err = o.Server.Next(response); err != nil {
		err = smtp.ErrAuthFailed
	}
	return challenge, done, err
}

// xoauth2Server is the server's side of XOAUTH2.
type xoauth2Server struct {
	check   func(username, token string) error
	refused error
}

// Next implements sasl.Server. A refusal is explained first, and comes when
// the client has answered with nothing.
func (x *xoauth2Server) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case x.refused != nil:
		return nil, true, x.refused
	case response == nil:
		return []byte{}, false, nil
	}
	fields := strings.Split(string(response), "\x01")
	if len(fields) != 4 {
		return nil, true, smtp.ErrAuthFailed
	}
	username, ok := strings.CutPrefix(fields[0], "user=")
	token, ok2 := strings.CutPrefix(fields[1], "auth=Bearer ")
	if !ok || !ok2 {
		return nil, true, smtp.ErrAuthFailed
	}
	if x.refused = x.check(username, token); x.refused != nil {
		return []byte(`{"status":"401","schemes":"bearer"}`), false, nil
	}
	return nil, true, nil
}

// scram begins the server's side of SCRAM.
func (c *session) scram(plus bool) (sasl.Server, error) {
	iterations := c.s.opts.Iterations
	if iterations == 0 {
		iterations = 4096
	}
	server, err := scram.SHA256.NewServer(func(username string) (scram.StoredCredentials, error) {
		if username != c.s.opts.Username {
			return scram.StoredCredentials{}, smtp.ErrAuthFailed
		}
		return c.s.scramCredentials(iterations)
	})
	if err != nil {
		return nil, fmt.Errorf("set up SCRAM: %w", err)
	}
	if !plus {
		return &scramServer{c: c, conversation: server.NewConversation()}, nil
	}
	secured, ok := c.conn.Conn().(*tls.Conn)
	if !ok {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	state := secured.ConnectionState()
	binding, err := scram.NewTLSExporterBinding(&state)
	if err != nil {
		return nil, fmt.Errorf("bind SCRAM: %w", err)
	}
	return &scramServer{c: c, conversation: server.NewConversationWithChannelBindingRequired(binding)}, nil
}

// scramCredentials are made once: clients are told to do the work of Iterations,
// which need not be done here for every connection.
func (s *Server) scramCredentials(iterations int) (scram.StoredCredentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stored == nil {
		client, err := scram.SHA256.NewClient(s.opts.Username, s.opts.Password, "")
		if err != nil {
			return scram.StoredCredentials{}, fmt.Errorf("prepare password: %w", err)
		}
		// A server that demands too much does not do it itself.
		stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: rand.Text(), Iters: min(iterations, 1<<16)})
		if err != nil {
			return scram.StoredCredentials{}, fmt.Errorf("derive keys: %w", err)
		}
		stored.Iters = iterations
		s.stored = &stored
	}
	return *s.stored, nil
}

// scramServer is the server's side of SCRAM-SHA-256.
type scramServer struct {
	c            *session
	conversation *scram.ServerConversation
	signed       bool
}

// Next implements sasl.Server. The signature is a challenge that the client
// answers with nothing (RFC 4954 §4: success carries no data).
func (x *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil {
		return []byte{}, false, nil
	}
	if x.signed {
		x.c.authed = true
		return nil, true, nil
	}
	message, err := x.conversation.Step(string(response))
	if err != nil {
		return nil, true, smtp.ErrAuthFailed
	}
	if !x.conversation.Done() {
		return []byte(message), false, nil
	}
	if err := x.c.fail("AUTH", x.conversation.Username()); err != nil {
		return nil, true, err
	}
	x.signed = true
	switch x.c.s.opts.SCRAM {
	case SCRAMForged:
		message = "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	case SCRAMSkipped:
		return nil, true, nil
	}
	return []byte(message), false, nil
}
