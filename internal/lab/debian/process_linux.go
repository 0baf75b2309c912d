// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// supported tells whether this system can run Debian's programs.
const supported = true

// Start runs a program in a session of its own, so that all that it starts can
// be ended with it. The kernel tells it to end when this process dies, and the
// thread that started it; so that one is kept.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, gone: make(chan struct{}), limit: stopLimit}
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.gone)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// End stops the program and what it has started.
func (p *Process) End() {
	group := -p.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM) // it may be gone
	select {
	case <-p.gone:
	case <-time.After(p.limit):
		p.forced = true
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // whoever has not listened
	<-p.gone
}
