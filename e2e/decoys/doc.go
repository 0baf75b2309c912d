// SPDX-License-Identifier: Apache-2.0

// Command decoys measures whether a client can tell by the time of an answer
// what the homeserver has said about the owner of an address: over real HTTP
// and TLS, with the store on a disk and messages being sent meanwhile; and, with
// -synapse, in front of a real Synapse behind the real Caddy. It compares two
// samples of times and fails if they differ.
//
// It is no test, because its verdict is about the machine, too: on one that is
// busy with other things more requests take longer than the step that they are
// given, and those that the homeserver grants, which it asks back for, before the
// others (ADR 16 says so). That the step is the same for both is what
// handlers.TestF15_DecoyTakesAsLong shows, to the nanosecond. The tests here show
// what holds on any machine.
package main
