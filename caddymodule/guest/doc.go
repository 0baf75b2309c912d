// SPDX-License-Identifier: Apache-2.0

// Package guest is the contract for Caddy modules that bring mail to a relay, text
// messages to phones, or keep what is stored. Whoever implements one, in a module of
// their own, needs this package, package store if it is a store, and Caddy:
//
//	threepid.mailers.<name>   a [Mailer]
//	threepid.sms.<name>       an [SMSGateway]
//	threepid.stores.<name>    a [Store]
//
// A guest belongs to one configuration. Its Provision must change nothing and call
// nobody, because `caddy validate` runs beside a running server; what it can find out
// without that, it should. Examples: docs/examples/guests.
//
// What a guest may do besides is an interface of its own, which is looked for:
// [Starter], [Folder], [Carrier], [Relays], [Signer], [SMSReporter], [Embedded]. What
// an open store may do besides stands in package store.
package guest
