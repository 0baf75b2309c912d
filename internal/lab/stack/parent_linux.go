// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends a child when this process dies in whatever way.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
