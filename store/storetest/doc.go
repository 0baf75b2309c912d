// SPDX-License-Identifier: Apache-2.0

// Package storetest is the conformance suite of the store contract: what the
// comments of package store promise, every backend proves by [Run].
//
// It also has [NewMemory], a store without persistence for the unit tests of
// whoever uses one, with a clock that the test sets; [Breaking], a store in which one
// operation fails; and [Interrupted], one at which something happens between two calls.
package storetest
