// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package postfix

import "errors"

// supported tells whether this system can run Postfix.
const supported = false

// spawn is never reached: Install refuses first.
func (*Server) spawn(Env) error { return errors.ErrUnsupported }

// end does nothing here.
func (*Server) end() {}
