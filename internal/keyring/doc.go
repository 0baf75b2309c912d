// SPDX-License-Identifier: Apache-2.0

// Package keyring holds the server's secret keys and the three things that
// are done with them: sealing records (AES-256-GCM), hashing what must be
// found or compared but never read back (HMAC-SHA-256), and naming an address
// in a log without telling it (a pseudonym that changes every day).
//
// Whoever has the store but not the key file can neither read an address nor
// test a guess against a hash.
package keyring
