// SPDX-License-Identifier: Apache-2.0

// Package address turns what a client typed into the one canonical form of an
// address that is checked, stored, mailed and returned, or refuses it; and tells in which
// other ways a homeserver may have it.
//
// Matrix compares email addresses with the domain in lower case and the whole
// address case-folded (appendices, "3PID types"; MSC2265). A homeserver that
// compares less strictly is safe only if nobody sends it another form, so
// everything here happens before anything else does. To fold, however, is to name
// another mailbox: that is done to refuse and to count, and never to mail or to prove.
package address
