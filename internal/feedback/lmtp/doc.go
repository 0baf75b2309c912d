// SPDX-License-Identifier: Apache-2.0

// Package lmtp takes the reports that come as mail, over LMTP (RFC 2033), from
// a mail server on the same machine.
//
// The mail server needs one rule: what comes for prefix+anything@domain goes to
// this socket. Everything that is not for a tag of ours is refused at RCPT with
// 550, so that the mail server can refuse it to its own client and neither
// stores nor returns it. A mail with a genuine tag is accepted even if it is no
// report, an automatic reply for example, and forgotten: returning it would
// make the next bounce.
//
//	prefix+tag@domain, tag genuine            250, read, forgotten
//	anything else                             550 5.1.1 at RCPT
//	more than 16 recipients in a transaction  452 4.5.3 at RCPT
//	over 1 MiB                                552 5.3.4 after the data
//	the store fails                           451 4.3.0 after the data, for the
//	                                          recipients that it failed for
//
// A conversation is cut after five minutes without a command, data included,
// and there are at most 32 at a time; more wait. The listener must be a Unix
// socket or a loopback address: LMTP knows no authentication.
package lmtp
