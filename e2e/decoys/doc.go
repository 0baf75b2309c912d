// SPDX-License-Identifier: Apache-2.0

// Package decoys measures whether a client can tell by the time of an answer
// what the homeserver has said about the owner of an address: over real HTTP
// and TLS, with the store on a disk and messages being sent meanwhile. It needs
// neither Synapse nor Caddy; the same comparison in front of a real Synapse is
// in package e2e.
package decoys
