// SPDX-License-Identifier: Apache-2.0

// Package verification is the domain: what a validation session is, which
// events it accepts in which state, and what it proves to whom.
//
// It is pure. It speaks neither HTTP nor SMTP, knows no Caddy and no Badger,
// and takes its clock and its randomness from outside, so that every sequence
// of events can be tested against a model in milliseconds.
//
//	pending ──confirm──► validated ──complete──► consumed
//	   │                      │
//	   └──────────────────────┴──► revoked     (and from any state: expired)
//
// A session is revoked by too many wrong tries, by the owner of the address who
// did not ask for it (refuse.go), or by the operator (admin.go).
//
// The state machine itself is in session.go and touches nothing but one
// [Session] value. [Service] puts it into a [store.Store]: one session, its
// index entry and its message live in one partition and are committed
// together. Three kinds of short-lived entries stand beside it:
//
//   - a nonce is the client_secret that a homeserver is shown while it decides
//     whether a token may be requested (callback.go);
//   - an alias is the one-time {sid, client_secret} pair that a homeserver is
//     shown at completion (completion.go);
//   - a limit is the state of a rate limit, or of an address that cools down
//     after a refusal (limit.go, refuse.go).
//
// What became of a session's newest message is noted beside it (state.go), by
// the outbox and in its transactions.
//
// What is stored is sealed, what is looked up is hashed with a key: neither an
// address nor a token nor a secret can be read from the store.
package verification
