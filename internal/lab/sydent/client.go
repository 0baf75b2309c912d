// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Answer is what the server answered.
type Answer struct {
	Status int
	// JSON is the body, nil unless it is a JSON object.
	JSON map[string]any
}

// Text returns a member of the body that is a string, or "".
func (a Answer) Text(key string) string {
	s, _ := a.JSON[key].(string)
	return s
}

// String returns the status and the errcode, which give nothing away.
func (a Answer) String() string {
	if errcode := a.Text("errcode"); errcode != "" {
		return fmt.Sprintf("%d %s", a.Status, errcode)
	}
	return fmt.Sprint(a.Status)
}

// Do sends a request, as JSON if there is a body, and as the owner of token
// if there is one.
func (s *Server) Do(ctx context.Context, method, path, token string, body any) (Answer, error) {
	var reader io.Reader
	if body != nil {
		content, err := json.Marshal(body)
		if err != nil {
			return Answer{}, fmt.Errorf("encode the request: %w", err)
		}
		reader = bytes.NewReader(content)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL()+path, reader)
	if err != nil {
		return Answer{}, fmt.Errorf("make the request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("ask sydent: %w", err)
	}
	defer resp.Body.Close()
	a := Answer{Status: resp.StatusCode}
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, fmt.Errorf("read sydent's answer: %w", err)
	}
	if json.Unmarshal(content, &a.JSON) != nil {
		a.JSON = nil
	}
	return a, nil
}

// must does the same for a request that has to be answered 200.
func (s *Server) must(ctx context.Context, method, path, token string, body any) (Answer, error) {
	a, err := s.Do(ctx, method, path, token, body)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("sydent answered %v", a)
	}
	return a, err
}
