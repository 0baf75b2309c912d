// SPDX-License-Identifier: Apache-2.0

// Package kannel runs a real Kannel from Debian on loopback, for tests: an SMS
// gateway that somebody else wrote, which takes messages by HTTP, and the test
// SMSC of its authors, which takes them from the gateway and tells what it got.
//
// [Install] unpacks the packages into the user's cache directory, as package
// debian does it. [Start] runs bearerbox, smsbox and fakesmsc on free ports; a
// Kannel that belongs to the system is not touched. It takes no root.
//
// # What the test SMSC can do
//
// It takes every message at once, and whole: what it prints is what a phone
// would get, in GSM letters or in UCS-2, and in how many parts. Where one
// message of several lines ends cannot be told from what it prints, so the
// access log of bearerbox is read as well, which has the length.
//
// Receipts come from bearerbox, which calls dlr-url as it would for any other
// SMSC, for those in dlr-mask: 8 (the SMSC has taken the message, with %A =
// "ACK/") and 1 (it was delivered), both at once and in either order; 16 (the
// SMSC has refused it, "NACK/…") for the numbers in [Options.Refuse]. The test
// SMSC cannot make the others: 2 (not delivered) and 4 (queued). Nor can it be
// slow, lose a message, or refuse one after it has taken it.
package kannel
