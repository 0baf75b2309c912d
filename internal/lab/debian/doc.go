// SPDX-License-Identifier: Apache-2.0

// Package debian gets the programs of Debian's packages for tests, and runs
// them, without installing anything in the system's sense.
//
// [Set.Install] has apt download the packages that are wanted and the libraries
// that are missing, checked as apt checks them, and unpacks them into the user's
// cache directory, once per machine. No file outside of that directory is
// written, no package script runs, no user is made. What is in the cache is
// asked for its version before it is believed, and made again when it does not
// answer.
//
// [Start] runs such a program, until [Process.End] or until the process that
// started it ends in whatever way. package freeport finds it somewhere to listen, and
// [Output] keeps what it prints.
//
// It takes Linux with apt-get and dpkg-deb: Debian, or what is derived from it;
// on the first run the archive must be within reach. Where something is missing,
// the error is [ErrUnavailable] and tells what.
package debian
