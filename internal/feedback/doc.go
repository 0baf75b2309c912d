// SPDX-License-Identifier: Apache-2.0

// Package feedback learns what became of a mail after the relay took it, and
// remembers the addresses that mail must not be sent to for a while.
//
// News of a message comes in two ways, each read by a package of its own:
//
//   - webhook: the signed reports of mail services over HTTP;
//   - dsn and lmtp: bounces (RFC 3464) and complaints (RFC 5965) that arrive
//     as mail, at an envelope sender that names the session ([VERP]).
//
// Both end in the same words, a [Report], and go through [Intake], which finds
// the session a report is about, tells the [Sink] and keeps the [Suppression]
// list.
//
// # Whom to believe
//
// A report can keep a person from ever getting a mail, so what it may do
// depends on who vouches for it:
//
//   - a mail service signs (or authenticates) what it says. Its word on an
//     address is taken, unless it contradicts the session that it names;
//   - anybody can send a mail that looks like a bounce. Such a report counts
//     only when it was sent to a tag that [Tags] made, which only the
//     recipient of our mail and the servers on its way have seen, and it
//     counts only for the address of that session, whatever address the report
//     itself names. Its From is never looked at. Otherwise whoever got one
//     mail could have anybody's address suppressed.
//
// # Again and again
//
// Every sender of reports repeats them. All effects depend on the report's own
// time, not on that of its arrival, and are merged by rules whose result is
// the same in any order and for any number of repetitions.
package feedback
