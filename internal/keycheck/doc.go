// SPDX-License-Identifier: Apache-2.0

// Package keycheck keeps a key file and a store together.
//
// What is stored is sealed with the keys of a file, and found by hashes with
// them. With other keys nothing is found and nothing fails: suppressions,
// limits, bindings and messages are gone without a word. So the store has a
// record of the keys that wrote it, sealed with the one in use ([Claim]), and
// before anything else is read or written it is opened ([Inspect], [Decide]).
//
// Stores of before that record are known by what they hold: some of it has to
// open.
package keycheck
