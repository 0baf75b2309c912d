// SPDX-License-Identifier: Apache-2.0

// Package phone turns what a client typed, as dialled from a country, into the
// one canonical form of a phone number that is checked, stored, texted and
// returned, or refuses it.
//
// Matrix stores phone numbers as E.164 digits without the plus (appendices,
// "3PID types"), and every homeserver finds them with Google's libphonenumber:
// Synapse through its Python port (synapse/util/msisdn.py). Another opinion on
// what a number means would verify one number and log in with another, so the
// same library does it here, in its port to Go, and the tests run both.
//
// What the library is generous about is settled before it is asked, by package
// input: it gets ASCII digits, and nothing that two people mean different numbers
// by, like letters on the keypad and extensions. Numbers that cost whoever texts
// them, or that no person reads texts on, are refused after it.
//
// A number belongs to a region and not to a calling code: +1 876 is Jamaica
// and +7 7 is Kazakhstan, and a text to either costs many times what one to
// the United States or to Russia does.
package phone
