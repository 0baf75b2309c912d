// SPDX-License-Identifier: Apache-2.0

// Package threepid has the values that everything here speaks of: what is verified and
// what for, and the names and secrets that stand for a validation. They are types of
// their own, so that one of them in the place of another does not compile.
//
// What arrives as text becomes such a value once, where it is read, and text again
// where it is written. It is the same text in JSON and in records.
package threepid
