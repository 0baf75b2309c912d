// SPDX-License-Identifier: Apache-2.0

// Package instance is the assembled program without Caddy: the verification service
// over an open store with its keys, the outbox with its transports, the handlers of
// clients, of the homeserver, of webhooks and receipts, the limits of short messages,
// and what operators do with all of it.
//
// A [SharedStore] is opened once and shared by all instances over it, so that it stays
// open across reloads; it has the keys and the outbox. An [Instance] belongs to one
// configuration, of which a [Config] has everything. It is made by [New], sends from
// Start to Stop, and answers requests for as long as its store is open.
//
// Whoever makes instances decides which of them share a store, and closes it; here
// that is package caddymodule.
package instance
