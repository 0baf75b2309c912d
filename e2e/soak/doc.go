// SPDX-License-Identifier: Apache-2.0

// Command soak keeps the real program under mixed load, good and hostile, at its
// limits, and watches what it takes: memory, goroutines, disk. It fails when one
// of them grows, when a good user is turned away for no stated reason, and when
// there is a 5xx that is not deliberate.
//
// The homeserver is the double of package fakehs, the mail server that of package
// smtptest; both run in this process and Caddy in one of its own.
package main
