// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"time"
)

// LocalReset is a validation session of the homeserver's own, as it makes them when
// password resets are [ResetLocal].
type LocalReset struct {
	SID          string
	ClientSecret string
	Email        string
	Mails        int // how many mails it has sent
}

// localReset is a LocalReset with its state.
type localReset struct {
	LocalReset
	lastAttempt float64
	validatedAt int64 // 0: not validated
}

// LocalResets lists the homeserver's own open sessions, oldest first.
func (s *Server) LocalResets() []LocalReset {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]LocalReset, len(s.resets))
	for i, r := range s.resets {
		out[i] = r.LocalReset
	}
	return out
}

// ValidateLocal does what a click on the link in the homeserver's own mail does. It
// reports whether there is such a session.
func (s *Server) ValidateLocal(sid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.resets {
		if r.SID == sid {
			r.validatedAt = time.Now().UnixMilli()
			return true
		}
	}
	return false
}

// openLocalReset finds or opens the session of (client_secret, email), and sends a
// mail unless send_attempt is no news.
func (s *Server) openLocalReset(body object) (string, error) {
	secret, ok := body["client_secret"].(string)
	email, ok2 := body["email"].(string)
	number, ok3 := body["send_attempt"].(json.Number)
	if !ok || !ok2 || !ok3 {
		return "", errWrongType
	}
	attempt, err := number.Float64()
	if err != nil {
		return "", errWrongType
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.resets {
		if r.ClientSecret != secret || r.Email != email || r.validatedAt != 0 {
			continue
		}
		if attempt > r.lastAttempt {
			r.lastAttempt = attempt
			r.Mails++
		}
		return r.SID, nil
	}
	fresh := &localReset{LocalReset{rand.Text()[:16], secret, email, 1}, attempt, 0}
	s.resets = append(s.resets, fresh)
	return fresh.SID, nil
}

// takeLocalReset uses up a validated session; nil means that there is none. The
// homeserver looks at its own table only, whatever id_server the creds name.
func (s *Server) takeLocalReset(creds any) (object, error) {
	c, ok := creds.(object)
	if !ok {
		return nil, errWrongType
	}
	secret, ok := c["client_secret"]
	sid, ok2 := c["sid"]
	if !ok || !ok2 {
		return nil, errWrongType
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range s.resets {
		if r.SID == sid && r.ClientSecret == secret && r.validatedAt != 0 {
			s.resets = slices.Delete(s.resets, i, i+1)
			return object{"medium": "email", "address": r.Email, "validated_at": r.validatedAt}, nil
		}
	}
	return nil, nil
}
