// SPDX-License-Identifier: Apache-2.0

package smstest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Token is the bearer token that the gateway wants.
const Token = "a-token-of-the-gateway"

// Path is where it takes messages.
const Path = "/messages"

// maxBody bounds a request, in bytes.
const maxBody = 64 << 10

// Message is one that was taken. Its JSON form is what the gateway reads.
type Message struct {
	ID      string `json:"id"`
	To      string `json:"to"`
	From    string `json:"from,omitempty"`
	Text    string `json:"text"`
	Receipt string `json:"receipt,omitempty"`
	// At is when it was taken.
	At time.Time `json:"-"`
}

// code is a code of six digits that stands alone.
var code = regexp.MustCompile(`(?:^|\D)(\d{6})(?:\D|$)`)

// Code is the code that a message carries.
func (m Message) Code() (string, bool) {
	found := code.FindStringSubmatch(m.Text)
	if found == nil {
		return "", false
	}
	return found[1], true
}

// number is E.164 without "+".
var number = regexp.MustCompile(`^[1-9][0-9]{6,14}$`)

// Server is the gateway.
type Server struct {
	http *http.Server
	addr string

	mu    sync.Mutex
	kept  []Message
	seen  map[string]int // how many messages to a number were waited for
	fault func(Message) int
	news  chan struct{} // closed and made anew with every message
}

// Start starts a gateway on a free port of 127.0.0.1.
func Start() (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Server{addr: ln.Addr().String(), seen: map[string]int{}, news: make(chan struct{})}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.http.Serve(ln) }() // until Close
	return s, nil
}

// URL is where messages are to be posted.
func (s *Server) URL() string { return "http://" + s.addr + Path }

// Close stops the gateway.
func (s *Server) Close() error { return s.http.Close() }

// SetFault has the gateway answer with the status that f returns for a message,
// and not take it, unless that is zero. Nil ends it.
func (s *Server) SetFault(f func(Message) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, status := read(r)
	if status == 0 {
		status = s.take(m)
	}
	w.Header().Set("Content-Type", "application/json")
	if status != http.StatusCreated {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"error":"refused"}`) // the sender may be gone
		return
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message_id": "gw-" + m.ID, "status": "queued"})
}

// read checks a request; the status is zero if it is right.
func read(r *http.Request) (m Message, status int) {
	switch {
	case r.URL.Path != Path:
		return m, http.StatusNotFound
	case r.Method != http.MethodPost:
		return m, http.StatusMethodNotAllowed
	case r.Header.Get("Authorization") != "Bearer "+Token:
		return m, http.StatusUnauthorized
	case r.Header.Get("Content-Type") != "application/json":
		return m, http.StatusUnsupportedMediaType
	}
	dec := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	dec.DisallowUnknownFields()
	if dec.Decode(&m) != nil || !number.MatchString(m.To) || m.Text == "" || m.ID == "" {
		return m, http.StatusUnprocessableEntity
	}
	return m, 0
}

func (s *Server) take(m Message) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		if status := s.fault(m); status != 0 {
			return status
		}
	}
	m.At = time.Now()
	s.kept = append(s.kept, m)
	close(s.news)
	s.news = make(chan struct{})
	return http.StatusCreated
}

// All returns what was taken so far.
func (s *Server) All() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kept)
}

// WaitFor returns the first message to a number that it has not returned yet,
// and waits for it until ctx ends.
func (s *Server) WaitFor(ctx context.Context, to string) (Message, error) {
	for {
		m, ok, news := s.next(to)
		if ok {
			return m, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return Message{}, fmt.Errorf("wait for a message after %s others: %w", strconv.Itoa(len(s.All())), ctx.Err())
		}
	}
}

func (s *Server) next(to string) (Message, bool, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	skip := s.seen[to]
	for _, m := range s.kept {
		if m.To != to {
			continue
		}
		if skip == 0 {
			s.seen[to]++
			return m, true, s.news
		}
		skip--
	}
	return Message{}, false, s.news
}
