// SPDX-License-Identifier: Apache-2.0

package jssdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// startLimit bounds a start whose context has no earlier deadline.
	startLimit = 3 * time.Minute
	// stopLimit is how long the process may take to leave by itself: a moment, and
	// much longer on a busy machine.
	stopLimit = 30 * time.Second
)

// Options say how to run the SDK.
type Options struct {
	// BaseURL is the homeserver of the session's own client, without which
	// [Session.Call] has none.
	BaseURL string
	// CAFile holds certificates to trust besides the public ones, in PEM.
	CAFile string
}

// Session is a running Node.js with the SDK, and any number of its clients. It
// may be used by many goroutines at once.
type Session struct {
	process *process
	methods []string
	first   *Client
	close   sync.Once
	closed  error

	// writing is apart from mu: answers must be taken in while a call waits
	// for room in the pipe.
	writing sync.Mutex

	mu      sync.Mutex
	last    int
	waiting map[int]chan answer
}

// request is a call as the driver reads it. Client is empty for the driver's
// own methods.
type request struct {
	ID     int    `json:"id"`
	Client string `json:"client"`
	Method string `json:"method"`
	Args   []any  `json:"args"`
}

// answer is a reply as the driver writes it.
type answer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *wireError      `json:"error"`
}

// Start runs the SDK of env. The context bounds the start only: the process
// runs until [Session.Close], or until this process ends in whatever way.
func Start(ctx context.Context, env Env, opts Options) (*Session, error) {
	driver, err := data.ReadFile("data/driver.mjs")
	if err != nil {
		return nil, fmt.Errorf("read embedded driver: %w", err)
	}
	// The driver is small enough for an argument, and a file of it in the
	// installation could be an older one.
	cmd := exec.Command(env.Node, "--input-type=module", "--eval", string(driver), env.Modules)
	cmd.Dir = env.Dir
	if cmd.Env, err = environment(opts); err != nil {
		return nil, err
	}
	s := &Session{waiting: map[int]chan answer{}}
	if s.process, err = spawn(cmd, s.deliver); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := s.greet(ctx, env.Version); err != nil {
		return nil, errors.Join(fmt.Errorf("start the SDK: %w", err), s.Close())
	}
	if opts.BaseURL == "" {
		return s, nil
	}
	if s.first, err = s.NewClient(ctx, ClientOptions{BaseURL: opts.BaseURL}); err != nil {
		return nil, errors.Join(fmt.Errorf("start the SDK: %w", err), s.Close())
	}
	return s, nil
}

// greet waits until the SDK is loaded, and sees to it that it is the one that
// was meant.
func (s *Session) greet(ctx context.Context, version string) error {
	raw, err := s.call(ctx, "", "hello")
	if err != nil {
		return err
	}
	var hello struct {
		Node, SDK string
		Methods   []string
	}
	if err := json.Unmarshal(raw, &hello); err != nil {
		return fmt.Errorf("read the greeting: %w", err)
	}
	if hello.SDK != version || hello.Node != NodeVersion {
		return fmt.Errorf("got matrix-js-sdk %s on Node.js %s, want %s on %s", hello.SDK, hello.Node, version, NodeVersion)
	}
	s.methods = hello.Methods
	return nil
}

// Call calls a method of the session's own client, see [Client.Call].
func (s *Session) Call(ctx context.Context, method string, args ...any) (json.RawMessage, error) {
	if s.first == nil {
		return nil, fmt.Errorf("call %s: %w: the session was started without a homeserver", method, ErrUnknownHandle)
	}
	return s.first.Call(ctx, method, args...)
}

// Methods returns the names of all methods of the SDK's MatrixClient.
func (s *Session) Methods() []string { return slices.Clone(s.methods) }

// Logs returns the end of what the SDK has logged. It may contain what was
// sent; it is for the eyes of a test.
func (s *Session) Logs() string { return s.process.log.String() }

// PID is the process.
func (s *Session) PID() int { return s.process.cmd.Process.Pid }

// Done is closed when the process has ended, asked or not.
func (s *Session) Done() <-chan struct{} { return s.process.done }

// Close ends the process and returns when it is gone: politely first, by force
// after half a minute. Calls under way fail with [ErrEnded]. More calls of Close
// return the same.
func (s *Session) Close() error {
	s.close.Do(func() {
		if err := s.process.stop(stopLimit); err != nil {
			s.closed = fmt.Errorf("close the SDK: %w", err)
		}
	})
	return s.closed
}

// call sends one request and waits for its answer. What a context cuts short
// goes on in the process: the SDK's methods cannot be called off.
func (s *Session) call(ctx context.Context, client, method string, args ...any) (json.RawMessage, error) {
	if args == nil {
		args = []any{} // not null
	}
	id, ready := s.expect()
	defer s.forget(id)
	line, err := json.Marshal(request{ID: id, Client: client, Method: method, Args: args})
	if err != nil {
		return nil, fmt.Errorf("call %s: encode arguments: %w", method, err)
	}
	// A failure means that the other end is gone or about to go.
	_ = s.send(append(line, '\n'))
	select {
	case a := <-ready:
		return a.read(method)
	case <-s.process.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("call %s: %w", method, ctx.Err())
	}
	select {
	case a := <-ready: // its last words
		return a.read(method)
	default:
		return nil, s.ended(method)
	}
}

// read takes the outcome of a call out of its answer.
func (a answer) read(method string) (json.RawMessage, error) {
	if a.Error != nil {
		return nil, fmt.Errorf("call %s: %w", method, a.Error.decode())
	}
	return a.Result, nil
}

// ended is the error of a call that has lost its process.
func (s *Session) ended(method string) error {
	err := s.process.err
	if err == nil {
		return fmt.Errorf("call %s: %w", method, ErrEnded)
	}
	return fmt.Errorf("call %s: %w: %w; its log ends:\n%s", method, ErrEnded, err, tail(s.Logs(), 15))
}

// expect makes room for an answer.
func (s *Session) expect() (id int, ready <-chan answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	c := make(chan answer, 1)
	s.waiting[s.last] = c
	return s.last, c
}

func (s *Session) forget(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, id)
}

// send writes one line; lines of different calls do not mix.
func (s *Session) send(line []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err := s.process.stdin.Write(line)
	return err
}

// deliver hands an answer to the call that waits for it, if it still does.
func (s *Session) deliver(a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ready := s.waiting[a.ID]; ready != nil {
		ready <- a
		delete(s.waiting, a.ID)
	}
}

// handle names something new in the process.
func (s *Session) handle(kind string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	return kind + " " + strconv.Itoa(s.last)
}
