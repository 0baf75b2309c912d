// SPDX-License-Identifier: Apache-2.0

//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import "syscall"

// dieWithParent does nothing: only Linux offers it to all programs.
func dieWithParent(*syscall.SysProcAttr) {}
