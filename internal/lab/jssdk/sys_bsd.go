// SPDX-License-Identifier: Apache-2.0

//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package jssdk

import "syscall"

// dieWithParent does nothing: the child ends with its standard input.
func dieWithParent(*syscall.SysProcAttr) {}
