// SPDX-License-Identifier: Apache-2.0

package sys

import "syscall"

// dieWithParent makes the kernel kill the child when this process is gone,
// even when it was killed itself and could not say goodbye.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
