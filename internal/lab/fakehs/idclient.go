// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
)

// identityAPI is the version 1 API; Synapse spoke version 2 only from 1.4.
const identityAPI = "/_matrix/identity/api/v1"

// remoteError is an identity server's answer outside 2xx.
type remoteError struct {
	status int
	reason string
	body   []byte
}

func (e *remoteError) Error() string {
	return fmt.Sprintf("read a refusal of the identity server: %d %s", e.status, e.reason)
}

// relayed turns a refusal into the same refusal towards the client: status, errcode
// and every other field of it. What is no Matrix error becomes M_UNKNOWN.
func (e *remoteError) relayed() error {
	out := &apiError{status: e.status, errcode: "M_UNKNOWN", message: e.reason}
	value, err := parseJSON(e.body)
	if obj, ok := value.(object); err == nil && ok {
		if code, ok := obj["errcode"]; ok {
			out.errcode = code
		}
		if message, ok := obj["error"]; ok {
			out.message = message
		}
		delete(obj, "errcode")
		delete(obj, "error")
		out.extra = obj
	}
	return out
}

// relay passes refusals on and leaves every other failure a 500.
func relay(err error) error {
	if refused, ok := errors.AsType[*remoteError](err); ok {
		return refused.relayed()
	}
	return err
}

// withoutPostRedirects copies a client so that, like Twisted's, it follows the
// redirect of a GET but never that of a POST.
func withoutPostRedirects(c *http.Client) *http.Client {
	dup := *c
	follow := c.CheckRedirect
	dup.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		switch {
		case via[0].Method != http.MethodGet:
			return errors.New("refuse the redirect of a POST")
		case follow != nil:
			return follow(req, via)
		case len(via) >= 10:
			return errors.New("stop after ten redirects")
		}
		return nil
	}
	return &dup
}

// trusts reports whether the client's id_server is one of the trusted spellings.
func (s *Server) trusts(idServer any) (bool, error) {
	if !hashable(idServer) {
		return false, errWrongType
	}
	name, ok := idServer.(string)
	return ok && (s.opts.TrustAnyIDServer || slices.Contains(s.opts.TrustedIDServers, name)), nil
}

// getJSON asks an identity server. The query is given in its final form.
func (s *Server) getJSON(x *exchange, url string) (any, error) {
	return s.callIDServer(x, http.MethodGet, url, nil, nil)
}

// postJSON sends an object to an identity server.
func (s *Server) postJSON(x *exchange, url string, content object, header http.Header) (any, error) {
	body, err := canonicalJSON(content)
	if err != nil {
		return nil, fmt.Errorf("encode a call: %w", err)
	}
	return s.callIDServer(x, http.MethodPost, url, body, header)
}

// callIDServer makes one call, records it and decodes a 2xx answer. The client of
// the request that caused it may go away: Synapse finishes the call all the same.
func (s *Server) callIDServer(x *exchange, method, url string, body []byte, header http.Header) (any, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.req.Context()), s.opts.IDServerTimeout)
	defer cancel()

	call := IDServerCall{Method: method, URL: url, Body: body}
	reason := ""
	call.Err = func() error {
		req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		maps.Copy(req.Header, header)
		if method == http.MethodPost {
			call.ContentType = "application/json"
			req.Header.Set("Content-Type", call.ContentType)
		}
		req.Header.Set("User-Agent", "Synapse/"+Version)
		resp, err := s.client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		call.Status, reason = resp.StatusCode, http.StatusText(resp.StatusCode)
		call.Answer, err = io.ReadAll(resp.Body)
		return err
	}()

	s.mu.Lock()
	s.calls = append(s.calls, call)
	s.mu.Unlock()

	if call.Err != nil {
		return nil, fmt.Errorf("call an identity server: %w", call.Err)
	}
	if call.Status < 200 || call.Status > 299 {
		return nil, &remoteError{call.Status, reason, call.Answer}
	}
	return parseJSON(call.Answer)
}
