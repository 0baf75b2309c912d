// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// maxIterations bounds the work that a relay can demand for one log-in; RFC
// 7677 §4 recommends 4096 at least, today's servers take up to 600,000.
const maxIterations = 1 << 20

// scramClient is the client's side of SCRAM-SHA-256 and -PLUS.
type scramClient struct {
	method       AuthMethod
	conversation *scram.ClientConversation
	steps        int
}

var _ sasl.Client = (*scramClient)(nil)

// newSCRAM begins a conversation, bound to a connection if one is given. The
// client keeps derived keys, so that a reconnect costs no iterations.
func newSCRAM(client *scram.Client, method AuthMethod, bind *tls.ConnectionState) (*scramClient, error) {
	c := &scramClient{method: method}
	if bind == nil {
		c.conversation = client.NewConversation()
		return c, nil
	}
	binding, err := scram.NewTLSExporterBinding(bind)
	if err != nil {
		return nil, errNoBinding // TLS 1.2 without an extended master secret
	}
	c.conversation = client.NewConversationWithChannelBinding(binding)
	return c, nil
}

func (c *scramClient) Start() (mechanism string, initial []byte, err error) {
	first, err := c.conversation.Step("")
	return c.method.mechanism(), []byte(first), err
}

// Next implements sasl.Client. The relay's last message must carry its
// signature; what it replies to that is empty, but not nil.
func (c *scramClient) Next(challenge []byte) ([]byte, error) {
	c.steps++
	text := string(challenge)
	if c.steps == 1 && iterations(text) > maxIterations {
		return nil, errTooMuchWork
	}
	answer, err := c.conversation.Step(text)
	switch {
	case err == nil:
		return []byte(answer), nil
	case strings.HasPrefix(text, "e="): // RFC 5802 §7: the server's error
		return nil, errAuthRefused
	case c.steps == 2:
		return nil, errUnproven
	}
	return nil, errLoginBroken
}

// iterations is what a server's first message demands; 0 if it says nothing.
func iterations(challenge string) int {
	for field := range strings.SplitSeq(challenge, ",") {
		if value, ok := strings.CutPrefix(field, "i="); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				return maxIterations + 1 // too long for a number
			}
			return n
		}
	}
	return 0
}

// bearerClient is the client's side of OAUTHBEARER and XOAUTH2. That of go-sasl
// breaks off where the relay explains itself, so that its reply is not seen.
type bearerClient struct {
	method                   AuthMethod
	username, token, address string
	explained                bool
}

var _ sasl.Client = (*bearerClient)(nil)

func (c *bearerClient) Start() (mechanism string, initial []byte, err error) {
	if c.method == AuthXOAUTH2 {
		return c.method.mechanism(), fmt.Appendf(nil, "user=%s\x01auth=Bearer %s\x01\x01", c.username, c.token), nil
	}
	host, port, _ := net.SplitHostPort(c.address) // which Validate has done, too
	// RFC 5801 §4: "," and "=" of the name are the header's own.
	name := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.username)
	return c.method.mechanism(), fmt.Appendf(nil, "n,a=%s,\x01host=%s\x01port=%s\x01auth=Bearer %s\x01\x01", name, host, port, c.token), nil
}

// Next implements sasl.Client: the only challenge is an explanation of why the
// token is no good. The reply to the answer is the error that counts.
func (c *bearerClient) Next([]byte) ([]byte, error) {
	if c.explained {
		return nil, errLoginBroken
	}
	c.explained = true
	if c.method == AuthOAuthBearer {
		return []byte{1}, nil // RFC 7628 §3.2.3
	}
	return []byte{}, nil
}

// validToken reports what RFC 6750 §2.1 calls b64token.
func validToken(token string) bool {
	return token != "" && !strings.ContainsFunc(token, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~+/=", r))
	})
}
