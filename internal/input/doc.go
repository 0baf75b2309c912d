// SPDX-License-Identifier: Apache-2.0

// Package input takes away what a person types or pastes along with an address,
// a phone number or a code, and nothing that means something: the blanks, line
// ends and unseen marks around it, the wrapping of a link or of a mail program,
// the signs between the digits of a number, and the script of its digits.
//
// It says nothing about what is left: package address and package phone judge
// that, and refuse what is unseen or ambiguous inside of it. Every edge at which
// a person's input arrives uses this package, and nothing behind the edge does:
// what is stored, sent, or passed on to a homeserver is the cleaned form.
package input
