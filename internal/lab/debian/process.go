// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Process is a running program with all that it has started.
type Process struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
	err  error         // how; to be read after that

	limit  time.Duration // how long it may take to leave by itself
	forced bool          // it has not
}

// Gone is closed when the program has ended.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// Err is how the program has ended, once it has.
func (p *Process) Err() error {
	select {
	case <-p.gone:
		return p.err
	default:
		return nil
	}
}

// ID is the number of the process, and of its group.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// stopLimit is how long a program may take to leave by itself: a moment, and much
// longer on a machine that is busy with other things.
const stopLimit = 30 * time.Second

// Output keeps what programs print.
type Output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String returns all of it.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
