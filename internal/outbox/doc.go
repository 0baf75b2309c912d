// SPDX-License-Identifier: Apache-2.0

// Package outbox brings messages to people: a durable outbox and the
// workers that empty it.
//
// A message is committed in the same transaction as its session, so neither
// exists without the other, and it is sent after the client has its answer.
//
//	Put ──► store ──► Wake or sweep ──► queue ──► worker: claim, wait for a turn, send, settle
//
// The queue in memory is only a hint, and may lose or repeat what it is told.
// The truth is in the store: whoever works on a message first claims it there
// under a lease, so two outboxes over one store (an old and a new
// configuration during a reload) never send the same message at the same
// time, nor one after the other.
//
// Claiming and settling wait for a disk, and a store writes what waits together
// as one. So there are more workers than turns to send: while some send, others
// claim what comes next or note what was sent. A claim that had to wait for its
// turn is renewed before it is sent, which also finds out whether the session
// was revoked meanwhile: its messages are deleted with it.
//
// The queue in the store is bounded: [Outbox.Put] refuses with [ErrFull] what
// nobody would get in time.
//
// A message is sent once more, with the same Message-ID, where nobody can know
// whether it was sent already: the relay had all of it and did not say yes or no,
// or the process died, or the store failed, before that was noted. There is no
// third time, see ADR 29. After a death the second is when the lease ends.
//
// What is observed holds no address, token or session: an [Event] has a
// pseudonym, and the text of its error is scrubbed.
package outbox
