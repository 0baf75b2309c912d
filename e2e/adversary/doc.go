// SPDX-License-Identifier: Apache-2.0

// Package adversary tries to take an account, by any sequence of calls that a
// client of the homeserver can make: rapid makes the sequences up, and shortens one
// that succeeds. Its model is the description of whom the module has to withstand.
//
// # Who they are
//
// The attacker has an account with an address, mailboxes, and other accounts as they
// register them. They know whatever any answer has ever told them, and may say it
// again anywhere, whole or changed. They reach the homeserver through either of two
// nodes of ours, and around us, by a second way that somebody has left open. They
// have a site of their own that runs the same module with other keys.
//
// The victim has an account with an address, and reads a second mailbox that no
// account has at first. They click what they are told is theirs: a mail that
// confirms an address for a registration or for an account, even when they did not
// ask for it, and a mail for a new password when they did. They reset their own
// password now and then, and may give the second address to their account.
//
// The operator restarts, reloads, restores a backup, rotates the keys, loses the
// store, or the store with the keys. Time passes, by minutes or by days.
//
// # What must hold
//
// A password changes, an address moves, an account is deactivated only by a fresh
// proof for exactly that, at most once. The double of the homeserver keeps a ledger
// of what was done to accounts; each entry has to be paid for by one confirmed
// session of that purpose and that address, which is then used up, or by the access
// token and the password of the account. Nothing that the attacker does may change
// anything of the victim's. And no answer of ours tells a name by which the
// homeserver knows a session of interactive authentication: that is the means by
// which all of it would come undone, for the homeserver believes such a name at any
// endpoint, for any purpose, for ever.
//
// In front of a real Synapse there is no ledger. There a log-in tells.
//
// # Running it
//
//	go test ./e2e/adversary -run TestAdversary -adversary.for 10m -v
//
// -rapid.steps is the mean length of a sequence, -rapid.seed repeats one run, and
// -adversary.names=false leaves the names out of the judgement, so that only what
// comes of them counts; -adversary.trusting=false leaves out the homeservers that
// believe every identity server.
package adversary
