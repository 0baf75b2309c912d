// SPDX-License-Identifier: Apache-2.0

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package chromium

import (
	"context"
	"fmt"
)

// lockFile refuses: without a lock two installations could be in each other's
// way, and there is no apt-get on such a system anyway.
func lockFile(context.Context, string) (func(), error) {
	return nil, fmt.Errorf("%w: it needs a Unix", ErrUnavailable)
}
