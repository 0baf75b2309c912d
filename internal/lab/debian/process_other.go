// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package debian

import (
	"errors"
	"os/exec"
)

// supported tells whether this system can run Debian's programs.
const supported = false

// Start is never reached: [Set.Install] refuses first.
func Start(*exec.Cmd) (*Process, error) { return nil, errors.ErrUnsupported }

// End does nothing here.
func (*Process) End() {}
