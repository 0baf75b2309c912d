// SPDX-License-Identifier: Apache-2.0

// Package dendrite installs and runs an unmodified Dendrite 0.13.8 on loopback,
// the homeserver in Go that needs an identity server to verify an address, as
// Synapse 1.3.1 does, but reads JSON in another way: keys without their case,
// with ſ for s and K for k, and of two the later one. And it asks nobody whose
// address it is that is deleted. Tests put it behind the module.
//
// [Install] has the go command build it in the user's cache directory, once per
// machine, at a version that is pinned and checked as all modules are; [Start]
// runs it in a directory of its own. Needed are Linux, the go command, and its
// module proxy on the first run, which takes minutes. No C compiler is. Where
// something is missing, the error is [ErrUnavailable] and tells what.
//
// A server speaks plain HTTP on 127.0.0.1, keeps its data in SQLite, is not
// throttled, hashes passwords cheaply and asks no key server. Of identity
// servers it believes those of [Options], which have to be named with a port:
// without one Dendrite looks for them as for another homeserver.
package dendrite
