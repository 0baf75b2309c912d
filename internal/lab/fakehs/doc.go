// SPDX-License-Identifier: Apache-2.0

// Package fakehs is a small homeserver, in memory and over plain net/http, that
// behaves like an unmodified Synapse 1.3.1 wherever third-party identifiers are
// concerned: towards clients, and towards the identity server it is told to trust.
//
// The product is proven against it, so it is faithful rather than correct. It
// answers 500 to a requestToken with an unknown key, it relays the identity
// server's errors with their own status, it moves an address from one account to
// another without asking, it lets an interactive-auth session be used again, at any
// endpoint, for as long as somebody knows its name, and it compares addresses as sent but stores them in lower case. Each of
// those is a trap that a proxy in front of it has to avoid.
//
// Identity servers are called over https only, at "https://" + id_server, exactly
// as the client spelled id_server, and only when that spelling is in
// [Options.TrustedIDServers]. [Options.HTTPClient] carries the CA.
//
// # What it is not
//
// There is no federation, no sync, no admin API and no rate limiting. Rooms are
// only as real as a test needs to see that a body passed unchanged. A reset by
// phone fails with a 500 as Synapse's does, unless [Options.PhoneReset] makes it
// that of a homeserver that can do it. A second kind of homeserver would be a second
// route table over the same accounts: see routes.go.
//
// # Locking
//
// One mutex guards the accounts, sessions and recordings. It is never held while
// an identity server is asked, because that server may be the very process that
// is waiting for this one.
package fakehs
