// SPDX-License-Identifier: Apache-2.0

package jssdk

import (
	"context"
	"encoding/json"
	"fmt"
)

// ClientOptions are those of the SDK's createClient that matter here.
type ClientOptions struct {
	// BaseURL is the homeserver; required.
	BaseURL string `json:"baseUrl"`
	// AccessToken and UserID are those of a log-in, or empty.
	AccessToken string `json:"accessToken,omitempty"`
	UserID      string `json:"userId,omitempty"`
	DeviceID    string `json:"deviceId,omitempty"`
	// IdentityServer is the URL of the user's identity server (idBaseUrl), or
	// empty for none.
	IdentityServer string `json:"idBaseUrl,omitempty"`
	// IdentityToken is what the client's identity provider hands out.
	IdentityToken string `json:"identityToken,omitempty"`
}

// Client is one MatrixClient of a session.
type Client struct {
	session *Session
	handle  string
}

// NewClient makes another client. Clients know nothing of one another.
func (s *Session) NewClient(ctx context.Context, opts ClientOptions) (*Client, error) {
	c := &Client{session: s, handle: s.handle("client")}
	if _, err := s.call(ctx, "", "createClient", c.handle, opts); err != nil {
		return nil, err
	}
	return c, nil
}

// Call calls a method of the client and returns what its promise resolves to.
// Arguments are turned into JSON; a nil one is JavaScript's undefined. When the
// promise is rejected, the error is an [*SDKError]; a method that this SDK does
// not have is [ErrUnknownMethod].
func (c *Client) Call(ctx context.Context, method string, args ...any) (json.RawMessage, error) {
	return c.session.call(ctx, c.handle, method, args...)
}

// CallInto is [Client.Call] with the result decoded into a value.
func (c *Client) CallInto(ctx context.Context, into any, method string, args ...any) error {
	raw, err := c.Call(ctx, method, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("call %s: decode result: %w", method, err)
	}
	return nil
}
