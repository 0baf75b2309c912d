// SPDX-License-Identifier: Apache-2.0

package postfix

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// supported tells whether this system can run Postfix.
const supported = true

// stopLimit is how long the server may take to leave by itself.
const stopLimit = 5 * time.Second

// spawn starts master in a session of its own: when it is told to end, it tells
// its whole process group. The kernel tells it so when this process dies, and
// the thread that started it; so that one is kept.
func (s *Server) spawn(env Env) error {
	s.cmd = exec.Command(filepath.Join(env.daemons(), "master"), "-c", s.files.conf(), "-d") //nolint:gosec // G204: of our own installation
	s.cmd.Dir = s.files.queue()
	s.cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"}, env.environ()...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	s.cmd.WaitDelay = time.Second
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.err = s.cmd.Wait()
			close(s.gone)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start master: %w", err)
	}
	return nil
}

// end stops master and what it has started.
func (s *Server) end() {
	group := -s.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM) // it may be gone
	select {
	case <-s.gone:
	case <-time.After(stopLimit):
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // whoever has not listened
	<-s.gone
}
