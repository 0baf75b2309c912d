// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"bytes"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestMessageIDAcrossARotation: a message that is tried again after a change of
// keys is the same message to whoever has it already.
func TestMessageIDAcrossARotation(t *testing.T) {
	s := newMailSender(t, &relay{})
	mem := storetest.NewMemory(time.Now)
	svc, err := verification.NewService(verification.Config{Store: mem, Keys: s.Keys, Outbox: New(Config{Store: mem, Keys: s.Keys})})
	if err != nil {
		t.Fatal(err)
	}
	open := func(secret string) verification.Message {
		opened, err := svc.RequestToken(t.Context(), verification.Request{
			Purpose: threepid.Register, ThreePID: threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.org"}, ClientSecret: threepid.ClientSecret(secret), SendAttempt: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		return verification.Message{ID: string(opened.SID + ".1"), SID: opened.SID}
	}
	const from = "noreply@mail.example.org"
	m := open("before")
	before := s.messageID(m, from)
	both, err := keyring.New(
		keyring.Key{ID: 2, Secret: bytes.Repeat([]byte{9}, keyring.SecretSize)},
		keyring.Key{ID: 1, Secret: bytes.Repeat([]byte{1}, keyring.SecretSize)})
	if err != nil {
		t.Fatal(err)
	}
	s.Keys.Replace(both)
	if after := s.messageID(m, from); after != before {
		t.Errorf("got %s after the rotation and %s before", after, before)
	}
	fresh := open("after")
	if got := s.messageID(fresh, from); got != s.messageID(verification.Message{ID: fresh.ID}, from) {
		t.Errorf("got %s for a new session, want it made with the key in use", got)
	}
}
