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
//
// After a reload no Send begins with the guests of before, even though one that has begun
// may still be running when their Cleanup is called.
//
// What a guest may do wrong, and what then happens:
//
//   - Send panics, or its error does when it is read: the message may have been sent, and
//     the guest is at fault, as with a [SendError] that is Unsure and a Fault. What it
//     panicked with may quote the message, and is told nobody.
//   - Send does not return when its ctx has ended: the operator is told, and it keeps its
//     turn. When all eight are taken, nothing more is sent until a reload.
//   - Another of its methods panics: that call has failed. At start this rejects the
//     configuration.
//   - A store panics: what was asked of it has failed, and nobody relies on whether it was
//     written. OpenStore that panics, or returns neither a store nor an error, has not opened
//     one: the configuration is rejected.
//   - A goroutine of its own panics: the process ends, as in any program.
package guest
