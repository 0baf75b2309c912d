// SPDX-License-Identifier: Apache-2.0

// Package postfix runs a real Postfix from Debian on loopback, for tests: a
// relay that somebody else wrote, with STARTTLS and TLS under an authority of
// its own, submission with SASL by Cyrus, and an unknown recipient refused.
// What it accepts, it delivers by SMTP to a server of package smtptest, which
// keeps it.
//
// [Install] unpacks the packages into the user's cache directory, as package
// debian does it: nothing is installed in the system's sense. [Start] runs
// master(8) on free ports, with configuration, queue and log in a directory of
// its own; a Postfix that belongs to the system is not touched, nor is syslog.
//
// # What is required
//
//   - Linux with apt-get and dpkg-deb: Debian, or what is derived from it; on
//     the first run the archive must be within reach.
//   - root. Postfix insists on starting as root, and on giving it up: to a user
//     and a group that own the queue and nobody else has to do with. Of those
//     it takes daemon and mail here, which every Debian has. (A user namespace
//     would do in the place of root if it could map these two as well, but that
//     takes newuidmap and a range of subordinate ids.)
//   - A directory for temporary files into which other users can look.
//
// Where something is missing, the error is [ErrUnavailable] and tells what.
package postfix
