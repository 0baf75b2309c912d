// SPDX-License-Identifier: Apache-2.0

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package jssdk

import (
	"context"
	"errors"
	"syscall"
)

// supported tells whether the SDK can be installed on this system.
const supported = false

// lockFile is never reached: Install refuses first.
func lockFile(context.Context, string) (func(), error) { return nil, errors.ErrUnsupported }

// ownGroup changes nothing here.
func ownGroup() *syscall.SysProcAttr { return nil }
