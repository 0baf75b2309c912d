// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package dendrite

import (
	"context"
	"errors"
)

// supported tells whether this system can run what is installed.
const supported = false

// lockFile is never reached: [Install] refuses first.
func lockFile(context.Context, string) (func(), error) { return nil, errors.ErrUnsupported }
