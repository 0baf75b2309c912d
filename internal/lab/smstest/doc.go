// SPDX-License-Identifier: Apache-2.0

// Package smstest is a gateway for short messages over HTTP that hands them to
// nobody: it keeps them, for tests and for the demo. What it does not like it
// refuses, as a vendor would, so that a request that is wrong is seen.
package smstest
