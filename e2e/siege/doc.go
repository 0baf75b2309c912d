// SPDX-License-Identifier: Apache-2.0

// Package siege has honest people use the assembled program for a day, while an
// attacker does what they can against its limits, and counts who gets through.
//
// It is the program without Caddy, before the double of a homeserver, with the limits
// that are in force unless told otherwise. Time is that of [testing/synctest]: it jumps
// from event to event, so that a day takes minutes, and the same seed gives the same
// day. Nothing is asked of the program but requests, and nothing is counted but answers,
// mails and short messages that come out: how the limits are made does not matter here.
//
//	go test -v -run TestSiege ./e2e/siege        an hour or so of each attacker
//	go test -v -run TestSiege ./e2e/siege -full  a whole day of each, as in make soak
//
// # Who is honest
//
// An honest person comes once, at a random time, from a network of their own (a /24 or a
// /48) or, one in twenty, from an address that many share. They ask for one message. A
// refusal has them come back up to a minute and a half after the time that it names, and
// a mail that does not come in ten minutes has them ask again: three times at most, and
// not after an hour. What they came for succeeds if it is done within an hour of their
// first try. Newcomers ask for the mail as soon as they know that there is one, as clients
// do, and solve the captcha at once.
//
// # Who is not
//
// Attackers in a hurry mix everything that brings out a message: resets for
// addresses with an account and without, registrations that have begun and whose captcha
// is not solved, adds with tokens that they have made up, numbers all over the world, and
// one stranger's mailboxes in all spellings. Those who want owners locked out know the
// addresses, and the owners' mail programs unsubscribe from whatever comes of that. Beside
// each attacker, somebody asks for the same about addresses with an account and without,
// always from a new network, and compares the answers, their times, and how long they ask
// to wait.
package siege
