// SPDX-License-Identifier: Apache-2.0

// Package stack starts the whole job on loopback: a homeserver, our Caddy in
// front of it, and a mail server that keeps what it is sent. The demo walks
// through it, the end-to-end tests attack it.
//
// The homeserver is an unmodified Synapse (1.3.1 or the newest), or an unmodified
// Dendrite, or, where Python cannot be had, the double of package fakehs. Caddy is
// the real program in a process of its own, or in several: the [Node]s of a site.
package stack
