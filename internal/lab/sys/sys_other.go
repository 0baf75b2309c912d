// SPDX-License-Identifier: Apache-2.0

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package sys

import (
	"context"
	"errors"
	"syscall"
)

// Supported tells whether this system can install and run the peers of tests.
const Supported = false

// LockFile is not possible here; see [Supported].
func LockFile(context.Context, string) (func(), error) { return nil, errors.ErrUnsupported }

// OwnGroup changes nothing here.
func OwnGroup() *syscall.SysProcAttr { return nil }
