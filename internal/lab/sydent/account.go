// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Register makes an account for the user whom an OpenID token speaks for, and
// returns its access token (v2/account/register). The token is the answer of
// the homeserver to POST /user/{userId}/openid/request_token, as it came;
// Sydent asks that homeserver about it.
func (s *Server) Register(ctx context.Context, openIDToken json.RawMessage) (accessToken string, err error) {
	a, err := s.must(ctx, http.MethodPost, v2+"/account/register", "", openIDToken)
	if err != nil {
		return "", fmt.Errorf("register at the identity server: %w", err)
	}
	return a.Text("token"), nil
}

// AcceptTerms accepts whatever terms the server has (v2/terms).
func (s *Server) AcceptTerms(ctx context.Context, accessToken string) error {
	a, err := s.must(ctx, http.MethodGet, v2+"/terms", "", nil)
	if err != nil {
		return fmt.Errorf("read the terms: %w", err)
	}
	urls := []string{}
	policies, _ := a.JSON["policies"].(map[string]any)
	for _, policy := range policies {
		languages, _ := policy.(map[string]any)
		for _, language := range languages { // or its version, a string
			if document, ok := language.(map[string]any); ok {
				url, _ := document["url"].(string)
				urls = append(urls, url)
			}
		}
	}
	if _, err = s.must(ctx, http.MethodPost, v2+"/terms", accessToken, object{"user_accepts": urls}); err != nil {
		return fmt.Errorf("accept the terms: %w", err)
	}
	return nil
}

// Bind binds the address of a session to a user (v2/3pid/bind). Whatever the
// server answers is no error: that is what tests look at.
func (s *Server) Bind(ctx context.Context, accessToken, mxid string, session Session) (Answer, error) {
	return s.Do(ctx, http.MethodPost, v2+"/3pid/bind", accessToken,
		object{"sid": session.SID, "client_secret": session.ClientSecret, "mxid": mxid})
}

// Unbind removes a binding by the session that proved the address
// (v2/3pid/unbind), which takes no access token. Whatever the server answers
// is no error.
func (s *Server) Unbind(ctx context.Context, mxid, medium, address string, session Session) (Answer, error) {
	return s.Do(ctx, http.MethodPost, v2+"/3pid/unbind", "", object{
		"sid": session.SID, "client_secret": session.ClientSecret, "mxid": mxid,
		"threepid": object{"medium": medium, "address": address},
	})
}

// Lookup returns the user an address is bound to, or "" (v2/hash_details and
// v2/lookup, the hashed kind). An email address is looked up in lower case,
// which is how Sydent keeps it.
func (s *Server) Lookup(ctx context.Context, accessToken, medium, address string) (mxid string, err error) {
	details, err := s.must(ctx, http.MethodGet, v2+"/hash_details", accessToken, nil)
	if err != nil {
		return "", fmt.Errorf("ask how to look up: %w", err)
	}
	pepper := details.Text("lookup_pepper")
	sum := sha256.Sum256([]byte(address + " " + medium + " " + pepper))
	hash := base64.RawURLEncoding.EncodeToString(sum[:])
	a, err := s.must(ctx, http.MethodPost, v2+"/lookup", accessToken,
		object{"addresses": []string{hash}, "algorithm": "sha256", "pepper": pepper})
	if err != nil {
		return "", fmt.Errorf("look up: %w", err)
	}
	mappings, ok := a.JSON["mappings"].(map[string]any)
	if !ok {
		return "", errors.New("look up: the answer has no mappings")
	}
	mxid, _ = mappings[hash].(string)
	return mxid, nil
}
