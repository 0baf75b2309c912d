// SPDX-License-Identifier: Apache-2.0

// Package spellings tries every way in which an address is typed against every way in
// which a homeserver has it: registering, logging in, resetting a password and deleting
// the address. It does so in front of a real Synapse 1.3.1 and of the double of it,
// with both ways to decide about an address; docs/spellings.md is the table that all of
// them agree on.
package spellings
