// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"context"
	"fmt"
	"strings"
)

// Connections is how many connections have been accepted.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Helos are the names that clients have introduced themselves by.
func (s *Server) Helos() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.helos...)
}

// Messages returns the messages so far, in order of arrival.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

// Wait waits until n messages have arrived.
func (s *Server) Wait(ctx context.Context, n int) ([]Message, error) {
	for {
		s.mu.Lock()
		have, changed := append([]Message(nil), s.messages...), s.changed
		s.mu.Unlock()
		if len(have) >= n {
			return have, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return have, fmt.Errorf("%d of %d messages: %w", len(have), n, ctx.Err())
		}
	}
}

// WaitFor waits for a message to a recipient that no earlier WaitFor has
// returned, and returns the oldest such.
func (s *Server) WaitFor(ctx context.Context, recipient string) (Message, error) {
	for {
		s.mu.Lock()
		for i := range s.messages {
			if m := &s.messages[i]; !m.taken && strings.EqualFold(m.To, recipient) {
				m.taken = true
				s.mu.Unlock()
				return *m, nil
			}
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Message{}, fmt.Errorf("no message to that recipient: %w", ctx.Err())
		}
	}
}

func (s *Server) deliver(m Message) {
	if s.opts.Received != nil {
		s.opts.Received(m)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	close(s.changed)
	s.changed = make(chan struct{})
}
