// SPDX-License-Identifier: Apache-2.0

package jssdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/sys"
)

// process is a running driver as the operating system sees it.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   *logTail
	done  chan struct{} // closed once the process is gone and err is set
	err   error
}

// environment is that of this process less what would turn Node.js into
// another one: options, proxies, authorities.
func environment(opts Options) ([]string, error) {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "NODE_") })
	env = append(env, "NO_COLOR=1")
	if opts.CAFile == "" {
		return env, nil
	}
	// Node only warns of a file that it cannot read.
	path, err := filepath.Abs(opts.CAFile)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("find the CA file: %w", err)
	}
	return append(env, "NODE_EXTRA_CA_CERTS="+path), nil
}

// spawn starts cmd and hands every answer it writes to deliver.
func spawn(cmd *exec.Cmd, deliver func(answer)) (*process, error) {
	p := &process{cmd: cmd, log: &logTail{}, done: make(chan struct{})}
	cmd.Stderr = p.log
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = sys.OwnGroup()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	p.stdin = stdin
	started := make(chan error, 1)
	go func() {
		// Linux ends the child with the *thread* that made it, and Go ends
		// threads as it likes. So keep this one for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		err = readAnswers(stdout, deliver)
		if err != nil { // it speaks no longer as it should
			_ = cmd.Process.Kill() // it may have ended already
		}
		p.err = errors.Join(err, cmd.Wait())
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

// readAnswers reads until the end, which is no error.
func readAnswers(stdout io.Reader, deliver func(answer)) error {
	for dec := json.NewDecoder(stdout); ; {
		var a answer
		switch err := dec.Decode(&a); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("read an answer: %w", err)
		}
		deliver(a)
	}
}

// stop asks the process to leave, by the end of its input, and makes it when
// the limit has passed.
func (p *process) stop(limit time.Duration) error {
	_ = p.stdin.Close() // it may have ended already
	select {
	case <-p.done:
		return p.err
	case <-time.After(limit):
	}
	_ = p.cmd.Process.Kill() // it may have ended just now
	<-p.done
	return fmt.Errorf("it had to be killed: %w", p.err)
}

// logLimit is how much of what the process logs is kept.
const logLimit = 256 << 10

// logTail keeps the end of what is written to it.
type logTail struct {
	mu   sync.Mutex
	text []byte
}

func (l *logTail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	if over := len(l.text) - logLimit; over > 0 {
		l.text = append(l.text[:0], l.text[over:]...)
	}
	return len(b), nil
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
