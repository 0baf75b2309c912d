// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// conversationTime is how long a conversation may take from its first answer. A
// session of ours lasts a day and may be asked for late in one; Synapse forgets
// a conversation 48 hours after its last round.
const conversationTime = 48 * time.Hour

const (
	conversationContext = "uia conversation"
	endpointSize        = 16
	conversationHead    = 8 + endpointSize
	// maxConversation bounds a name that is opened, in bytes.
	maxConversation = 4096
)

// Conversation is a User-Interactive Authentication (CS API) that a client has
// with the homeserver: the name that the homeserver has for it ("session"), the
// endpoint that it is about, and when it began.
type Conversation struct {
	Session  threepid.UIASession
	Endpoint string
	Began    time.Time
}

// SealConversation makes the name by which the client knows a conversation. It
// needs no record: all of it is in the name, for whoever has the key file. A
// conversation without a beginning begins now.
func (s *Service) SealConversation(c Conversation) threepid.SealedUIASession {
	if c.Began.IsZero() {
		c.Began = s.now()
	}
	plain := binary.BigEndian.AppendUint64(nil, uint64(c.Began.UnixMilli()))
	plain = append(plain, endpointSum(c.Endpoint)...)
	plain = append(plain, c.Session...)
	return threepid.SealedUIASession(base64.RawURLEncoding.EncodeToString(s.keys.Seal(conversationContext, plain)))
}

// OpenConversation opens a name that was given out for an endpoint. One that is
// foreign, tampered with, of another endpoint or too old is none.
func (s *Service) OpenConversation(name threepid.SealedUIASession, endpoint string) (Conversation, bool) {
	c, sum, ok := s.openConversation(name)
	if !ok || sum != [endpointSize]byte(endpointSum(endpoint)) {
		return Conversation{}, false
	}
	c.Endpoint = endpoint
	return c, true
}

// OpenAnyConversation opens a name whatever endpoint it is for. It is for the
// pages on which a person completes one stage (CS API, "Fallback"), which are
// told nothing else; a name that they are shown leads to no other endpoint.
func (s *Service) OpenAnyConversation(name threepid.SealedUIASession) (Conversation, bool) {
	c, _, ok := s.openConversation(name)
	return c, ok
}

func (s *Service) openConversation(name threepid.SealedUIASession) (c Conversation, endpoint [endpointSize]byte, ok bool) {
	if len(name) > maxConversation {
		return c, endpoint, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(string(name))
	if err != nil {
		return c, endpoint, false
	}
	plain, err := s.keys.Open(conversationContext, sealed)
	if err != nil || len(plain) < conversationHead {
		return c, endpoint, false
	}
	c.Began = time.UnixMilli(int64(binary.BigEndian.Uint64(plain)))
	c.Session = threepid.UIASession(plain[conversationHead:])
	age := s.now().Sub(c.Began)
	return c, [endpointSize]byte(plain[8:conversationHead]), age < conversationTime
}

// endpointSum is what a name has of its endpoint. It is no secret, and only
// compared: paths can be longer than a name should be.
func endpointSum(endpoint string) []byte {
	sum := sha256.Sum256([]byte(endpoint))
	return sum[:endpointSize]
}
