// SPDX-License-Identifier: Apache-2.0

// Package provenance says where a request came from, in words that its reader
// may be shown: which program and system it seems to be of, and which network.
//
// All of it is the client's own claim, and what a client sends is in no message
// of ours. So a program is a name out of a closed table, and so is a system;
// no letter of a User-Agent header gets further than the search for them. A
// network is numbers that we have made ourselves. [Origin.Checked] holds an
// origin that was stored against the same rules.
package provenance
