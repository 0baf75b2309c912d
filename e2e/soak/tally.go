// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// tally counts answers.
type tally struct {
	mu       sync.Mutex
	statuses map[string]int // "200", "429 M_LIMIT_EXCEEDED"
	// wrong are 5xx that were not deliberate, with an example each.
	wrong map[string]string
	// good counts what good users have reached; failed, why they have not.
	good, failed map[string]int
}

func newTally() *tally {
	return &tally{statuses: map[string]int{}, wrong: map[string]string{}, good: map[string]int{}, failed: map[string]int{}}
}

// answer is one answer.
type answer struct {
	status int
	header http.Header
	body   string
}

// text is a member of the answer that is a string.
func (a *answer) text(key string) string {
	var o map[string]any
	if json.Unmarshal([]byte(a.body), &o) != nil {
		return ""
	}
	s, _ := o[key].(string)
	return s
}

// count notes an answer. A full queue is the one deliberate 5xx, and says when to
// come again.
func (t *tally) count(what string, a *answer) {
	key := fmt.Sprint(a.status)
	if code := a.text("errcode"); code != "" {
		key += " " + code
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.statuses[key]++
	if a.status >= 500 && (a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "") {
		t.wrong[what+" "+key] = a.body[:min(len(a.body), 300)]
	}
}

// note counts something that is no answer.
func (t *tally) note(in map[string]int, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	in[what]++
}

func (t *tally) total() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.statuses {
		n += v
	}
	return n
}

// send makes one request; header holds names and values in turn.
func (s *site) send(ctx context.Context, t *tally, method, path, body string, header ...string) (*answer, error) {
	target := path
	if !strings.Contains(path, "://") {
		target = s.public + path
	}
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	a := &answer{resp.StatusCode, resp.Header, string(raw)}
	t.count(method+" "+req.URL.Path, a)
	return a, nil
}
