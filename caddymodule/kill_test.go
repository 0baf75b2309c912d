// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// child is a Caddy in a process of its own.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// startChild runs a Caddyfile and returns when it serves.
func (s *site) startChild(config string) *child {
	s.t.Helper()
	file := s.path("Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRun+"="+file)
	cmd.Stderr = os.Stderr
	stdin, inErr := cmd.StdinPipe()
	stdout, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		s.t.Fatal(err)
	}
	c := &child{cmd: cmd, stdin: stdin, stdout: bufio.NewReader(stdout)}
	s.t.Cleanup(c.kill)
	if line, err := c.stdout.ReadString('\n'); err != nil || line != "ready\n" {
		s.t.Fatalf("got %q (%v) from the child, want it ready", line, err)
	}
	return c
}

// kill ends the child as a power cut would. It may be called again.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may be gone
	_ = c.cmd.Wait()         // it was killed
	_ = c.stdin.Close()      // nobody reads it
}

// TestKillLosesNoSession kills the process in the middle of a thousand
// concurrent requests for a token. Every session that a client was told of is
// still there when it is started again: the same send_attempt answers the same
// sid.
func TestKillLosesNoSession(t *testing.T) {
	const clients = 1000
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	running := s.startChild(s.simple())

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sids := make([]string, clients)
	answered, about := make(chan struct{}, clients), make(chan struct{})
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			if i%4 == 0 { // some come at the last moment, however quick the others are
				<-about
			}
			// Most fail: that is what the test is about.
			sids[i], _ = askAs(ctx, s.url(), i)
			if sids[i] != "" {
				answered <- struct{}{}
			}
		})
	}
	for range clients / 4 {
		select {
		case <-answered:
		case <-ctx.Done():
			close(about)
			t.Fatal("too few requests were answered before the kill")
		}
	}
	close(about)
	running.kill()
	wg.Wait()

	s.startChild(s.simple())
	told, lost := 0, 0
	for i, sid := range sids {
		if sid == "" {
			continue
		}
		told++
		if got, err := askAs(t.Context(), s.url(), i); err != nil || got != sid {
			lost++
			t.Errorf("session %d: got %q (%v), want %q", i, got, err, sid)
		}
	}
	if told < clients/4 || told == clients {
		t.Errorf("%d of %d requests were answered before the kill, want some and not all", told, clients)
	}
	t.Logf("%d of %d requests were answered before the kill, %d sessions lost", told, clients, lost)
}

// askAs requests a token as one of many clients.
func askAs(ctx context.Context, base string, i int) (sid string, err error) {
	a, err := stack.NewClient(base).RequestToken(ctx, "r0", "register", fmt.Sprintf("secret%d", i), fmt.Sprintf("user%d@example.test", i))
	if err != nil {
		return "", err
	}
	if a.Text("sid") == "" {
		return "", fmt.Errorf("status %d: %s", a.Status, a.Body)
	}
	return a.Text("sid"), nil
}
