// SPDX-License-Identifier: Apache-2.0

// Package caddymodule plugs the verification into Caddy. It is the only
// package, besides the commands, that knows Caddy.
//
// Modules:
//
//	threepid                           the app: configuration, store, outbox
//	http.handlers.threepid             the client-facing side, before reverse_proxy
//	http.handlers.threepid_identity    the homeserver-facing side, on a site of its own
//	threepid.stores.badger             embedded store (default)
//	threepid.mailers.smtp              mail over a relay
//	threepid.mailers.file              mail into a folder (default)
//
// Namespaces for other people's modules:
//
//	threepid.stores     implement [StoreModule]
//	threepid.mailers    implement [Mailer]
//
// # Lifecycle
//
// Provision does no I/O, so that "caddy validate" passes beside a running
// server. The database is opened in Start, through a pool that is keyed by its
// canonical folder: a reload, whether it succeeds or fails, finds it open.
// What was acquired is released in Cleanup, which Caddy calls in every case,
// and only what was acquired. Requests of an unloaded configuration may still
// run; they get an error from the closed store, never a panic.
package caddymodule
