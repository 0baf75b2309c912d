// SPDX-License-Identifier: Apache-2.0

package dendrite

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what a shared-secret registration demands
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Account is a user made by [Server.Register].
type Account struct {
	UserID      string `json:"user_id"`
	AccessToken string `json:"access_token"`
}

// Register makes a user by the shared secret, whether or not anybody may
// register. Passwords have at least eight characters.
func (s *Server) Register(ctx context.Context, localpart, password string, admin bool) (Account, error) {
	var nonce struct {
		Nonce string `json:"nonce"`
	}
	if err := s.call(ctx, http.MethodGet, nil, &nonce); err != nil {
		return Account{}, fmt.Errorf("ask for a registration nonce: %w", err)
	}
	role := map[bool]string{true: "admin", false: "notadmin"}[admin]
	// SHA-1 and the NUL separators are Synapse's (its docs, register API).
	mac := hmac.New(sha1.New, []byte(s.secret))
	mac.Write([]byte(strings.Join([]string{nonce.Nonce, localpart, password, role}, "\x00")))
	body, err := json.Marshal(object{
		"nonce": nonce.Nonce, "username": localpart, "password": password, "admin": admin, "mac": hex.EncodeToString(mac.Sum(nil)),
	})
	if err != nil {
		return Account{}, err
	}
	var account Account
	if err := s.call(ctx, http.MethodPost, body, &account); err != nil {
		return Account{}, fmt.Errorf("register by shared secret: %w", err)
	}
	return account, nil
}

// call sends body to the registration API and decodes the answer into result.
func (s *Server) call(ctx context.Context, method string, body []byte, result any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.url+"/_synapse/admin/v1/register", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("dendrite answered %s", resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(result)
}
