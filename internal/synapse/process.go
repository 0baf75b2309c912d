// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// process is a running Synapse as the operating system sees it.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once the process is gone and err is set
	err  error
}

// spawn starts cmd in a process group of its own, with everything it prints
// going to sink, which it closes in the end.
func spawn(cmd *exec.Cmd, sink *logSink) (*process, error) {
	cmd.Stdout, cmd.Stderr = sink, sink
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = ownGroup()
	p := &process{cmd: cmd, done: make(chan struct{})}
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

// terminate asks the process group to leave, or makes it.
func (p *process) terminate(force bool) {
	select {
	case <-p.done: // its number may be somebody else's by now
	default:
		signalGroup(p.cmd.Process.Pid, force)
	}
}

// listeningLine is what Twisted logs when a port is open. It alone names the
// port that the system chose.
var listeningLine = regexp.MustCompile(`SynapseSite starting on (\d+)$`)

// logSink appends what it is given to a file and watches for the line that
// tells the port.
type logSink struct {
	file      *os.File
	listening chan int // receives the port, once

	mu    sync.Mutex
	line  []byte
	found bool
}

// openSink returns a sink that appends to the file at path.
func openSink(path string) (*logSink, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &logSink{file: file, listening: make(chan int, 1)}, nil
}

// Write implements [io.Writer].
func (s *logSink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.file.Write(b)
	if s.found {
		return n, err
	}
	s.line = append(s.line, b...)
	for !s.found {
		line, rest, whole := bytes.Cut(s.line, []byte("\n"))
		if !whole {
			break
		}
		s.line = rest
		if m := listeningLine.FindSubmatch(bytes.TrimRight(line, "\r")); m != nil {
			port, convErr := strconv.Atoi(string(m[1]))
			if s.found = convErr == nil; s.found {
				s.listening <- port
				s.line = nil
			}
		}
	}
	return n, err
}
