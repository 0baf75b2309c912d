// SPDX-License-Identifier: Apache-2.0

// Package caddymodule plugs the service into Caddy. It is the thin edge: it
// reads configuration, decides which configurations share an open store, and
// translates between Caddy's handlers and package instance, which does not know Caddy.
//
//	threepid                          the app: all configuration     [App]
//	http.handlers.threepid            the public site                [Handler]
//	http.handlers.threepid_identity   the homeserver-facing site     [IdentityHandler]
//
// Below it, and knowing it, are the admin API (package admin) and the commands of
// operators (package cli). The root package of the module registers all of them.
//
// Three name spaces are open to guests, whose contract is package guest; the guests
// of this repository are in the folder guests:
//
//	threepid.stores    type guest.Store, inline key "type"
//	threepid.mailers   type guest.Mailer, inline key "type"
//	threepid.sms       type guest.SMSGateway, inline key "type"
//
// # Life cycle
//
// Caddy provisions and starts a new configuration before it stops the old one,
// provisions configurations that it never starts (caddy validate), starts apps
// in random order, and cleans up what it could not provision. Therefore:
// Provision does no I/O. The store is opened in Start, or by the first request
// if the HTTP server was started first, through a pool that all configurations
// of the process share, so that a database stays open across reloads. Cleanup
// gives back what this configuration took from the pool, and nothing else. The
// last one to do so closes the store, after the requests and the deliveries
// that are still using it.
package caddymodule
