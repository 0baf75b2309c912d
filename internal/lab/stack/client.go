// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Client speaks to a server as a Matrix client or a browser does.
type Client struct {
	// Base is the server, without a trailing slash.
	Base string
	// Trace, when set, is told of every exchange.
	Trace func(method, path string, status int, body string)
	// Header is sent with every request.
	Header http.Header
	http   *http.Client
}

// NewClient makes a client of a server. It follows no redirects.
func NewClient(base string) *Client {
	return &Client{Base: base, http: &http.Client{
		Timeout:       100 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Answer is what a server answered.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	JSON   map[string]any // nil when the body is not a JSON object
}

// Text returns a member of the answer that is a string, or "".
func (a Answer) Text(key string) string {
	s, _ := a.JSON[key].(string)
	return s
}

// Do sends one request. A body that is not nil is sent as JSON.
func (c *Client) Do(ctx context.Context, method, path, token string, body any) (Answer, error) {
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return Answer{}, fmt.Errorf("encode request: %w", err)
		}
	}
	header := http.Header{}
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return c.send(ctx, method, path, header, raw)
}

// Form posts a form, as the button of a page does, and looks at the page that the
// answer names (303).
func (c *Client) Form(ctx context.Context, path string, values url.Values) (Answer, error) {
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	a, err := c.send(ctx, http.MethodPost, path, header, []byte(values.Encode()))
	if err == nil && a.Status == http.StatusSeeOther {
		return c.send(ctx, http.MethodGet, a.Header.Get("Location"), http.Header{}, nil)
	}
	return a, err
}

func (c *Client) send(ctx context.Context, method, path string, header http.Header, body []byte) (Answer, error) {
	target := path
	if !strings.Contains(path, "://") {
		target = c.Base + path
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("make request: %w", err)
	}
	req.Header = header
	maps.Copy(req.Header, c.Header)
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	a := Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(raw)}
	if json.Unmarshal(raw, &a.JSON) != nil {
		a.JSON = nil
	}
	if c.Trace != nil {
		c.Trace(method, path, a.Status, a.Body)
	}
	return a, nil
}

// Object is a JSON object to send.
type Object map[string]any

// RequestToken opens a validation session for purpose: "register",
// "account/password" or "account/3pid".
func (c *Client) RequestToken(ctx context.Context, version, purpose, secret, email string) (Answer, error) {
	return c.Do(ctx, http.MethodPost, "/_matrix/client/"+version+"/"+purpose+"/email/requestToken", "",
		Object{"client_secret": secret, "email": email, "send_attempt": 1})
}

// Login logs a user in with a password.
func (c *Client) Login(ctx context.Context, user, password string) (Answer, error) {
	return c.Do(ctx, http.MethodPost, "/_matrix/client/r0/login", "", Object{
		"type": "m.login.password", "user": user, "password": password,
		"identifier": Object{"type": "m.id.user", "user": user},
	})
}

// Creds are the credentials of a validation session.
func Creds(sid, secret string) Object { return Object{"sid": sid, "client_secret": secret} }

// EmailAuth is the auth dict of the email stage.
func EmailAuth(session string, creds Object) Object {
	auth := Object{"type": "m.login.email.identity", "threepid_creds": creds, "threepidCreds": creds}
	if session != "" {
		auth["session"] = session
	}
	return auth
}

// hiddenField is a field of a page's form that its reader does not see.
var hiddenField = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)">`)

// Click opens the link of a mail, reads its page and presses the button. A page
// without one is returned as the answer, too.
func (c *Client) Click(ctx context.Context, link string) (page, confirmed Answer, err error) {
	return c.ClickSlowly(ctx, link, 0)
}

// ClickSlowly is Click by somebody who reads the page for a while.
func (c *Client) ClickSlowly(ctx context.Context, link string, read time.Duration) (page, confirmed Answer, err error) {
	u, err := url.Parse(link)
	if err != nil {
		return page, confirmed, fmt.Errorf("read link: %w", err)
	}
	if page, err = c.Do(ctx, http.MethodGet, u.RequestURI(), "", nil); err != nil {
		return page, confirmed, err
	}
	form := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(page.Body, -1) {
		form.Add(m[1], html.UnescapeString(m[2]))
	}
	if len(form) == 0 {
		return page, page, nil
	}
	select {
	case <-ctx.Done():
		return page, confirmed, ctx.Err()
	case <-time.After(read):
	}
	confirmed, err = c.Form(ctx, u.Path, form)
	return page, confirmed, err
}

// RequestCode opens a validation session for a phone number, dialled from a
// country.
func (c *Client) RequestCode(ctx context.Context, version, purpose, secret, country, number string) (Answer, error) {
	return c.Do(ctx, http.MethodPost, "/_matrix/client/"+version+"/"+purpose+"/msisdn/requestToken", "",
		Object{"client_secret": secret, "country": country, "phone_number": number, "send_attempt": 1})
}

// PhoneAuth is the auth dict of the phone stage.
func PhoneAuth(session string, creds Object) Object {
	auth := EmailAuth(session, creds)
	auth["type"] = "m.login.msisdn"
	return auth
}
