// SPDX-License-Identifier: Apache-2.0

// Package sealed is the one place where it is known what there is in a store: how a
// record is written and sealed, under which names it is found after a change of keys,
// and of what kinds entries are.
//
// A [Kind] is declared once, by the package that owns it, with all that others have to
// know of it: where it is, what a rotation, a restore and the request to forget an
// address do with it. Nothing can be left out, and entries are written through a kind
// only. So whoever counts, moves, drops or erases has no list of their own.
package sealed
