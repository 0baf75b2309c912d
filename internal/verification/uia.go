// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// uiaTime is how long a client may take over a User-Interactive
// Authentication of ours.
const uiaTime = time.Hour

// UIASession makes the session of a User-Interactive Authentication that we
// run ourselves. It is stateless: all our flows have one stage, so there is no
// progress to be kept, only the promise that the session belongs to this user
// and this operation (CS API, "User-interactive API": a session must not be
// used for another request than the one it was begun for).
func (s *Service) UIASession(user, operation string) threepid.UIASession {
	end := binary.BigEndian.AppendUint64(nil, uint64(s.now().Add(uiaTime).UnixMilli()))
	text := base64.RawURLEncoding.EncodeToString(end)
	return threepid.UIASession(text + "." + s.keys.HashText("uia", user, operation, text))
}

// UIASessionValid reports whether a session was made for this user and this
// operation, and has not ended.
func (s *Service) UIASessionValid(session threepid.UIASession, user, operation string) bool {
	text, mac, _ := strings.Cut(string(session), ".")
	sum, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	if err != nil || len(sum) != keyring.HashSize || !s.keys.Made(hash(sum), "uia", user, operation, text) {
		return false
	}
	end, _ := base64.RawURLEncoding.DecodeString(text) // we made it
	return s.now().Before(time.UnixMilli(int64(binary.BigEndian.Uint64(end))))
}
