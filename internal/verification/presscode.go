// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// ProbeAnswer answers a nonce as only a server with the same keys can. It shows that
// a public address leads here.
func (s *Service) ProbeAnswer(nonce string) string { return s.keys.HashText("probe", nonce) }

// pressLabel keeps the hashes of press codes apart from others.
const pressLabel = "press code"

// PressCode is the code that a mail has beside its link. It proves nothing that
// the link does not, so it has no record and no tries of its own: the page asks
// for it where the press of its button may have been a program's, because what
// follows links does not type what stands beside them.
func PressCode(keys *keyring.Ring, sid, token string) string {
	return pressDigits(keys.HashText(pressLabel, sid, token))
}

// PressCodeValid reports whether a code is the one beside a link, by whichever
// of the keys it was made.
func (s *Service) PressCodeValid(sid, token, code string) bool {
	valid := 0
	for _, hash := range s.keys.HashTexts(pressLabel, sid, token) {
		valid |= subtle.ConstantTimeCompare([]byte(pressDigits(hash)), []byte(code))
	}
	return valid == 1
}

// pressDigits are six digits of a hash.
func pressDigits(hash string) string {
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64([]byte(hash))%1_000_000)
}
