// SPDX-License-Identifier: Apache-2.0

// Package sms brings short messages to phones: through gateways that take an
// HTTP request, described by the operator or by a preset, or into files on a
// laptop. Which gateway takes a message is decided by the country or the
// beginning of its number; the next one is tried while one is out of order.
//
// A call whose outcome is not known may have cost a message, and says so, so
// that the next one can be paid for first. What became of a message is read from
// the receipts of its gateway, which are verified where the vendor signs them.
// Nothing that names a number or a text is in an error of this package.
//
// A vendor is one file: its requests, answers, receipts and quirks (see [Vendor]).
//
// There is no SMPP: no Go library for it is well kept. Kannel speaks it, and
// takes HTTP.
package sms
