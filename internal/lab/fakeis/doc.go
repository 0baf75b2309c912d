// SPDX-License-Identifier: Apache-2.0

// Package fakeis is a double of an identity server for tests: the part of the v2
// API that a homeserver uses (status, bind, unbind), over TLS on loopback, with
// its own authority. It answers as the Identity Service API specifies and fails
// on request in the ways a hostile or broken server does.
//
// What the real servers do differently is for tests against the real ones.
package fakeis
