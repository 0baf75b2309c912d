// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// closing calls Close and says when it is done.
func (r *rig) closing() chan error {
	done := make(chan error, 1)
	go func() { done <- r.Close() }()
	return done
}

func wait[T any](t *testing.T, what string, c chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(deadline):
		t.Fatalf("%s: waited in vain", what)
		panic("unreachable")
	}
}

func TestCloseEndsIdleConversationsAtOnce(t *testing.T) {
	r := start(t, nil)
	fresh, greeted := bufio.NewReader(r.dial()), r.client()
	line(t, fresh)
	if err := wait(t, "close", r.closing()); err != nil { // less than the grace
		t.Fatal(err)
	}
	if got := line(t, fresh); !strings.HasPrefix(got, "421 ") {
		t.Errorf("the idle one is told %q", got)
	}
	if err := greeted.Mail("", nil); err == nil {
		t.Error("a mail was begun after the end")
	}
	if c, err := net.Dial("unix", r.addr.String()); err == nil {
		c.Close()
		t.Error("a connection was taken after the end")
	}
	if err := r.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestCloseLetsAMailEnd(t *testing.T) {
	r := start(t, nil)
	r.box.entered, r.box.wait = make(chan struct{}, 1), make(chan struct{})
	c := r.dial()
	in := bufio.NewReader(c)
	fmt.Fprintf(c, "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\n%s.\r\n", good, bounce)
	wait(t, "receiver", r.box.entered)
	done := r.closing()
	<-r.done
	close(r.box.wait)
	if err := wait(t, "close", done); err != nil {
		t.Fatal(err)
	}
	var answered, bye bool
	for {
		s, err := in.ReadString('\n')
		answered = answered || strings.HasPrefix(s, "250 2.0.0 <"+good+">")
		bye = bye || strings.HasPrefix(s, "421 ")
		if err != nil {
			break
		}
	}
	if reports, _ := r.box.got(); !answered || !bye || len(reports) != 1 {
		t.Errorf("answered %t, bye %t, reports %+v", answered, bye, reports)
	}
}

func TestCloseLetsAMailThatIsStillBeingSentEnd(t *testing.T) {
	r := start(t, nil)
	c := r.dial()
	in := bufio.NewReader(c)
	fmt.Fprintf(c, "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\n%s", good, bounce[:100])
	for !strings.HasPrefix(line(t, in), "354") {
		continue
	}
	done := r.closing()
	<-r.done
	fmt.Fprintf(c, "%s.\r\n", bounce[100:])
	if got := line(t, in); !strings.HasPrefix(got, "250 2.0.0 <") {
		t.Errorf("answered %q", got)
	}
	if err := wait(t, "close", done); err != nil {
		t.Fatal(err)
	}
}

func TestCloseLosesPatience(t *testing.T) {
	r := start(t, func(c *Config) { c.Grace = 50 * time.Millisecond })
	r.box.entered, r.box.wait = make(chan struct{}, 1), make(chan struct{})
	stuck := r.dial()
	fmt.Fprintf(stuck, "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\n%s.\r\n", good, bounce)
	wait(t, "receiver", r.box.entered)
	slow := r.dial()
	fmt.Fprintf(slow, "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\nSubj", good)
	if err := wait(t, "close", r.closing()); err != nil {
		t.Fatal(err)
	}
	r.box.mu.Lock()
	defer r.box.mu.Unlock()
	if !errors.Is(r.box.ended, context.Canceled) || len(r.box.reports) != 0 {
		t.Errorf("the receiver ended with %v and %+v", r.box.ended, r.box.reports)
	}
}

func TestServeAfterClose(t *testing.T) {
	r := start(t, nil)
	r.client() // it serves by now
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "second"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := r.Serve(l); !errors.Is(err, ErrClosed) {
		t.Errorf("Serve = %v, want ErrClosed", err)
	}
}

func TestServeReportsABrokenListener(t *testing.T) {
	r := start(t, nil)
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "broken"))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := r.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve = %v, want net.ErrClosed", err)
	}
	// Its place for a connection is free again, and the other still serves.
	if len(r.room) > 1 {
		t.Errorf("%d places are taken", len(r.room))
	}
	if result, err := send(r.client(), bounce, good); err != nil || result[good] != nil {
		t.Errorf("%v, %v", result, err)
	}
}
