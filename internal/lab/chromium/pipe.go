// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrEnded is the outcome of a call to a browser that is no more.
var ErrEnded = errors.New("the browser has ended")

// ProtocolError is the refusal of a call by the browser.
type ProtocolError struct {
	Method  string `json:"-"`
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("%s: %s (%d)", e.Method, e.Message, e.Code)
}

// message is one of the protocol's, of any kind.
type message struct {
	ID      int64           `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *ProtocolError  `json:"error,omitempty"`
}

// conn speaks the protocol: JSON, each message ended by a NUL.
type conn struct {
	out io.WriteCloser

	writing sync.Mutex
	mu      sync.Mutex
	lastID  int64
	waiting map[int64]chan message
	events  map[string]func(message) // by session
	err     error                    // set once the browser has ended
	ended   chan struct{}
}

func newConn(in io.Reader, out io.WriteCloser) *conn {
	c := &conn{out: out, waiting: map[int64]chan message{}, events: map[string]func(message){}, ended: make(chan struct{})}
	go c.read(bufio.NewReader(in))
	return c
}

// read hands out what comes, until the browser closes its pipe.
func (c *conn) read(in *bufio.Reader) {
	for {
		raw, err := in.ReadBytes(0)
		if err != nil {
			c.end(err)
			return
		}
		var m message
		if err := json.Unmarshal(raw[:len(raw)-1], &m); err != nil {
			c.end(fmt.Errorf("decode a message: %w", err))
			return
		}
		c.mu.Lock()
		answer, asked := c.waiting[m.ID]
		delete(c.waiting, m.ID)
		event := c.events[m.Session]
		c.mu.Unlock()
		switch {
		case m.ID != 0 && asked:
			answer <- m
		case m.ID == 0 && event != nil:
			event(m)
		}
	}
}

func (c *conn) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = fmt.Errorf("%w: %w", ErrEnded, cause)
		close(c.ended)
	}
}

// listen hands the events of a session to a function that must not block.
func (c *conn) listen(session string, event func(message)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if event == nil {
		delete(c.events, session)
		return
	}
	c.events[session] = event
}

// call asks the browser for something and decodes what it says into result,
// which may be nil.
func (c *conn) call(ctx context.Context, session, method string, params, result any) error {
	m := message{Session: session, Method: method}
	if params != nil {
		raw, err := json.Marshal(params)
		if err != nil {
			return fmt.Errorf("%s: encode: %w", method, err)
		}
		m.Params = raw
	}
	answer := make(chan message, 1)
	if err := c.send(&m, answer); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	defer func() {
		c.mu.Lock()
		delete(c.waiting, m.ID)
		c.mu.Unlock()
	}()
	select {
	case got := <-answer:
		if got.Error != nil {
			got.Error.Method = method
			return got.Error
		}
		if result == nil {
			return nil
		}
		if err := json.Unmarshal(got.Result, result); err != nil {
			return fmt.Errorf("%s: decode: %w", method, err)
		}
		return nil
	case <-c.ended:
		return fmt.Errorf("%s: %w", method, c.err) // not written to any more
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// send numbers a message, registers who waits for its answer and writes it.
func (c *conn) send(m *message, answer chan message) error {
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return c.err
	}
	c.lastID++
	m.ID = c.lastID
	c.waiting[m.ID] = answer
	c.mu.Unlock()

	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if _, err := c.out.Write(append(raw, 0)); err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	return nil
}
