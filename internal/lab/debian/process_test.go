// SPDX-License-Identifier: Apache-2.0

//go:build linux

package debian

import (
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEndEndsWhatWasStarted(t *testing.T) {
	for name, script := range map[string]string{
		"with a child":       "sleep 60 & echo ready; wait",
		"that does not obey": "trap '' TERM; sleep 60 & echo ready; wait",
	} {
		ready := make(chan struct{}, 1)
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Stdout = writerFunc(func([]byte) { ready <- struct{}{} })
		p, err := Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		<-ready
		if err := p.Err(); err != nil {
			t.Errorf("%s: got %v of a program that runs", name, err)
		}
		obeys := name == "with a child"
		if !obeys {
			p.limit = time.Millisecond
		}
		p.End()
		if p.forced == obeys {
			t.Errorf("%s: killed %v", name, p.forced)
		}
		select {
		case <-p.Gone():
		default:
			t.Errorf("%s: it is not gone", name)
		}
		if p.Err() == nil {
			t.Errorf("%s: got no error of a program that was killed", name)
		}
		if err := gone(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p.End() // once more does no harm
	}
}

// gone waits until the last of a group was reaped by whoever does that.
func gone(p *Process) error {
	var err error
	for begun := time.Now(); time.Since(begun) < time.Minute; {
		if err = syscall.Kill(-p.ID(), 0); errors.Is(err, syscall.ESRCH) {
			return nil
		}
	}
	return errors.Join(errors.New("somebody of the group is left"), err)
}

func TestStartFailsAtOnce(t *testing.T) {
	if p, err := Start(exec.CommandContext(t.Context(), "/nowhere/at/all")); err == nil || p != nil || !strings.Contains(err.Error(), "/nowhere/at/all") {
		t.Errorf("got %v, %v", p, err)
	}
}

func TestOutputIsKept(t *testing.T) {
	var out Output
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "echo one; echo two >&2")
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Gone()
	if got := out.String(); got != "one\ntwo\n" || p.Err() != nil {
		t.Errorf("got %q, %v", got, p.Err())
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }
