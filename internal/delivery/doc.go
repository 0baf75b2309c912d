// SPDX-License-Identifier: Apache-2.0

// Package delivery brings messages to people: a durable outbox and the
// workers that empty it.
//
// A message is committed in the same transaction as its session, so neither
// exists without the other, and it is sent after the client has its answer.
// Whoever works on one holds a lease in the store: two outboxes over one store
// (an old and a new configuration during a reload) never send the same
// message. A process that dies between the relay's "250" and the note of it
// leaves a message that is sent again when the lease ends; it has the same
// Message-ID. Nothing else sends twice.
package delivery
