// SPDX-License-Identifier: Apache-2.0

package jssdk

import "syscall"

// dieWithParent makes the kernel kill the child when this process is gone. It
// would end anyway, with its standard input, unless it is stuck.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
