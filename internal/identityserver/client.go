// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// DefaultProbeTimeout bounds [Client.Probe] if [Options] do not.
const DefaultProbeTimeout = 3 * time.Second

// The v2 API. There is no way back to v1, which knows no access tokens.
const (
	statusPath = "/_matrix/identity/v2"
	bindPath   = "/_matrix/identity/v2/3pid/bind"
	provenPath = "/_matrix/identity/v2/3pid/getValidated3pid"
	unbindPath = "/_matrix/identity/v2/3pid/unbind"
)

// Options is the configuration of a client.
type Options struct {
	// Outbound has the limits and the allow list of all requests. It is not an
	// HTTP client, so that there is no way around them.
	Outbound outbound.Options
	// ProbeTimeout bounds Probe.
	ProbeTimeout time.Duration
}

// Client calls identity servers. Create it with [New]; it is safe for concurrent
// use, holds no connections, and needs no closing.
type Client struct {
	http         *http.Client
	probeTimeout time.Duration
}

// New returns a client.
func New(opts Options) *Client {
	if opts.ProbeTimeout <= 0 {
		opts.ProbeTimeout = DefaultProbeTimeout
	}
	return &Client{http: outbound.NewClient(opts.Outbound), probeTimeout: opts.ProbeTimeout}
}

// answer is what a server said, whole.
type answer struct {
	status int
	body   []byte
}

// post sends a JSON body, with a token unless that is empty, and reads the answer.
func (c *Client) post(ctx context.Context, name outbound.Name, path string, token threepid.IDAccessToken, body any) (answer, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return answer{}, fmt.Errorf("encode request: %w", err)
	}
	return c.do(ctx, name, http.MethodPost, path, token, bytes.NewReader(text))
}

// do sends one request and reads the answer.
func (c *Client) do(ctx context.Context, name outbound.Name, method, path string, token threepid.IDAccessToken, body io.Reader) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, name.URL(path), body)
	if err != nil {
		return answer{}, explain(name, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, explain(name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, explain(name, err)
	}
	return answer{status: resp.StatusCode, body: text}, nil
}

// object returns the answer's body if it is a JSON object. Its media type does not
// matter: not all servers set one, and none makes a page an object. Unlike a
// struct, a map has keys that match in their own case only.
func (a answer) object() (map[string]json.RawMessage, bool) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(a.body, &object); err != nil {
		return nil, false
	}
	return object, object != nil // null is no object
}

// text returns the value of a key if it is a string.
func text(object map[string]json.RawMessage, key string) (string, bool) {
	var value *string
	if raw, found := object[key]; !found || json.Unmarshal(raw, &value) != nil || value == nil {
		return "", false
	}
	return *value, true
}

// succeeded reports whether the status is one of success.
func (a answer) succeeded() bool { return a.status >= 200 && a.status < 300 }
