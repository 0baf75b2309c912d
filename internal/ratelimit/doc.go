// SPDX-License-Identifier: Apache-2.0

// Package ratelimit says how many messages may be asked for, and by whom, so that
// limits protect people and are of no use to attackers.
//
//   - A [Limit] is the generic cell rate algorithm: one time for each subject (gcra.go).
//   - What may be sent in all is one budget with classes: who certainly is somebody's
//     owner comes first, and a part is kept for them that nobody else gets (class.go).
//   - A client is its networks, narrow and wide, each with a limit of its own (network.go).
//   - When a budget runs low, what is left goes to networks that had least of late, not
//     to who asks most often (heat.go).
//   - A mailbox has few messages from each network, further and further apart, and few
//     from all strangers together; its owner, who is known by the network they have
//     proved it from, is no stranger (mailbox.go, places.go).
//
// Everything but the heat of networks is in the store, in one partition, so that a
// request counts against all that concerns it or against nothing.
package ratelimit
