// SPDX-License-Identifier: Apache-2.0

// Package venv installs servers written in Python, as published on PyPI, and
// runs them. The homeserver and the identity server of the tests have it in
// common.
//
// An [Env] is a virtual environment in the user's cache directory. Its name
// contains a digest of the [Recipe] and of the interpreter, so that nothing is
// ever updated in place; a marker, written last, tells a complete one from a
// torn one; a lock makes processes that install at the same time wait for one
// another. Nothing is compiled: every requirement is a wheel, or a source
// distribution that is Python only.
//
// A [Process] belongs to this process: on Linux the kernel ends it when this
// one dies, in whatever way. Nobody polls for its port, because Twisted logs
// the port once it listens.
package venv
