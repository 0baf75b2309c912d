// SPDX-License-Identifier: Apache-2.0

package venv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/sys"
)

// stopLimit is how long a server may take to leave by itself: a moment, and much
// longer on a machine that is busy with other things.
const stopLimit = 30 * time.Second

// ErrExited is why a start fails when the process ends before it listens.
var ErrExited = errors.New("it exited")

// Command says how to run a server.
type Command struct {
	// Args follow the interpreter.
	Args []string
	// Dir is the working directory; it receives the bundle of CAFiles.
	Dir string
	// Env is added to [Env.Environ].
	Env []string
	// CAFiles are PEM files, each of one certificate or of several, that
	// replace the system's trusted roots. None keeps those.
	CAFiles []string
	// Log is the file that everything printed is appended to.
	Log string
	// Listening matches the line that tells the port, its first group.
	Listening *regexp.Regexp
}

// Process is a running server as the operating system sees it.
type Process struct {
	cmd     *exec.Cmd
	logPath string
	sink    *logSink
	done    chan struct{} // closed once the process is gone and err is set
	err     error
	stop    sync.Once
	limit   time.Duration // how long it may take to leave
	forced  bool          // it has not left by itself
}

// Start runs a program of the environment. It runs until [Process.Stop], or,
// on Linux, until this process ends in whatever way.
func (e Env) Start(c Command) (*Process, error) {
	cmd := exec.Command(e.Python, c.Args...)
	cmd.Dir = c.Dir
	cmd.Env = append(append(e.Environ(), "PYTHONUNBUFFERED=1"), c.Env...)
	if len(c.CAFiles) > 0 {
		roots := filepath.Join(c.Dir, "trusted-roots.pem")
		if err := bundle(roots, c.CAFiles); err != nil {
			return nil, err
		}
		// OpenSSL's own variables; the directory would add the system's roots.
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+roots, "SSL_CERT_DIR="+filepath.Join(c.Dir, "no-roots"))
	}
	sink, err := openSink(c.Log, c.Listening)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return spawn(cmd, c.Log, sink)
}

// spawn starts cmd in a process group of its own, with everything it prints
// going to sink, which it closes in the end.
func spawn(cmd *exec.Cmd, logPath string, sink *logSink) (*Process, error) {
	cmd.Stdout, cmd.Stderr = sink, sink
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = sys.OwnGroup()
	p := &Process{cmd: cmd, logPath: logPath, sink: sink, done: make(chan struct{}), limit: stopLimit}
	started := make(chan error, 1)
	go func() {
		// Linux ends the child with the *thread* that made it, and Go ends
		// threads as it likes. So keep this one for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		defer sink.file.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

// Port waits until the process has logged that it listens, and returns the
// port; from then on the kernel queues connections.
func (p *Process) Port(ctx context.Context) (int, error) {
	select {
	case port := <-p.sink.listening:
		return port, nil
	case <-p.done:
		return 0, errors.Join(ErrExited, p.err)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Logs returns everything that was logged so far. It contains what clients
// sent; it is for the eyes of a test.
func (p *Process) Logs() string {
	content, err := os.ReadFile(p.logPath)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	return string(content)
}

// Done is closed when the process has ended, asked or not.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop ends the process and returns when it is gone: politely first, by force
// after half a minute. More calls do nothing.
func (p *Process) Stop() {
	p.stop.Do(func() {
		p.terminate(false)
		select {
		case <-p.done:
			return
		case <-time.After(p.limit):
		}
		p.forced = true
		p.terminate(true)
		<-p.done
	})
}

// Forced reports that [Process.Stop] had to kill the process. It may be called
// once that has returned.
func (p *Process) Forced() bool { return p.forced }

// terminate asks the process group to leave, or makes it.
func (p *Process) terminate(force bool) {
	select {
	case <-p.done: // its number may be somebody else's by now
	default:
		signalGroup(p.cmd.Process.Pid, force)
	}
}
