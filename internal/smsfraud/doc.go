// SPDX-License-Identifier: Apache-2.0

// Package smsfraud keeps an attacker's hands off the money for short messages.
//
// Whoever earns on calls to some numbers ("SMS pumping", "artificially inflated
// traffic") lets a program ask for codes to them, by the thousand. Nothing of
// one request tells it from an honest one, so the shield bounds what all of
// them together can cost, and stops earlier where it sees that nobody types
// the codes in:
//
//   - lists of countries and prefixes say where messages go at all (countries.go);
//   - budgets in messages and in money, in total, per country and per prefix, per
//     hour and day (budget.go, counter.go);
//   - one network of clients gets a small part of what may be spent in total (network.go);
//   - a prefix to which codes are sent that do not come back is paused, and a network that
//     has asked for them (conversion.go);
//   - one number gets few messages, further and further apart (number.go);
//   - one client address reaches few numbers in few countries (client.go).
//
// All that must not lock out those whom it is for. So a message has a class: what is sure
// to be wanted, because somebody who has an account asks for it, is counted in every budget, and
// refused only by the totals, of which strangers may never take all, by the limits of its
// number, and by the part and the pause of the network.
//
// # Exactness
//
// A message is counted before it is sent, in one transaction over everything
// that it is counted in; whatever cannot be counted is not sent. So the limits
// hold for concurrent requests, for several processes on one store, and after a
// restart or a crash. Budgets count in buckets (five minutes for an hour, an hour
// for a day) and take the whole oldest bucket for part of the window: no window
// of that length, wherever it starts, ever holds more than the limit. A clock
// that is set back keeps everything counted; dates that come to lie in the future
// by it are brought to the present, so that nothing is counted for ever. (A clock
// that is set forward is time that has passed: nobody can tell the difference.)
//
// # Guessing
//
// The number of messages to one number bounds how often a code for it can be
// guessed. A session begins with a message and dies of its fifth wrong try, and a
// code has six digits: the sessions of any 24 hours offer at most PerNumber × 5
// tries, so that with the default of 10 any of them is guessed with a
// probability of at most 50 in a million. (The tries of any 24 hours may also be
// made in sessions that began before: with tokens that live for less than a day
// these are at most as many again, and the bound is twice that.)
//
// # What is kept
//
// All entries are in one partition, expire by themselves, are named by keyed
// hashes and sealed. Inside, a prefix stands as its digits, never all of a
// number; a number, a client address and its network stand as hashes there too.
package smsfraud
