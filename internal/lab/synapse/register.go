// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Synapse demands of a shared-secret registration
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// registerPath is Synapse's registration by shared secret (its admin API).
const registerPath = "/_synapse/admin/v1/register"

// Account is a user made by [Server.Register].
type Account struct {
	UserID      string `json:"user_id"`
	AccessToken string `json:"access_token"`
	DeviceID    string `json:"device_id"`
}

// Register makes a user by the shared secret, past every registration flow:
// the way to get a first user, or an administrator.
func (s *Server) Register(ctx context.Context, localpart, password string, admin bool) (Account, error) {
	var challenge struct {
		Nonce string `json:"nonce"`
	}
	if err := s.call(ctx, http.MethodGet, nil, &challenge); err != nil {
		return Account{}, fmt.Errorf("ask for a registration nonce: %w", err)
	}
	role := "notadmin"
	if admin {
		role = "admin"
	}
	// SHA-1 and the NUL separators are Synapse's (its docs, register API).
	mac := hmac.New(sha1.New, []byte(s.secret))
	mac.Write([]byte(strings.Join([]string{challenge.Nonce, localpart, password, role}, "\x00")))
	var account Account
	err := s.call(ctx, http.MethodPost, object{
		"nonce": challenge.Nonce, "username": localpart, "password": password, "admin": admin,
		"mac": hex.EncodeToString(mac.Sum(nil)),
	}, &account)
	if err != nil {
		return Account{}, fmt.Errorf("register by shared secret: %w", err)
	}
	return account, nil
}

// call sends body to the registration API and decodes the answer into result.
func (s *Server) call(ctx context.Context, method string, body, result any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+registerPath, bytes.NewReader(content))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var failure struct {
			Errcode string `json:"errcode"`
		}
		_ = json.NewDecoder(resp.Body).Decode(&failure) // the status says enough
		return fmt.Errorf("synapse answered %d %s", resp.StatusCode, failure.Errcode)
	}
	return json.NewDecoder(resp.Body).Decode(result)
}
