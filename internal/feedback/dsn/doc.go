// SPDX-License-Identifier: Apache-2.0

// Package dsn reads the mails that mail servers send about a mail.
//
// # Formats
//
//   - Delivery status notifications: multipart/report (RFC 6522) with a part
//     message/delivery-status (RFC 3464) or message/global-delivery-status
//     (RFC 6533), as Postfix, Exim, Exchange and most others write them.
//   - Complaints in the Abuse Reporting Format: multipart/report with a part
//     message/feedback-report (RFC 5965).
//   - The plain bounces of old versions of Exim, which name the address in
//     X-Failed-Recipients.
//
// Everything else, an automatic reply for example, is [ErrNotReport].
//
// The parser forgives what real servers do: bare line feeds, an mbox "From "
// line, header lines that are none, a missing blank line between the groups of
// a delivery status, fields in any case, comments behind values, a status in
// base64 or quoted-printable, a report that was cut off in the middle, a
// Status of 5.0.0 where the diagnostic code says more.
//
// # Limits
//
// A mail has at most 1 MiB, a header 64 KiB, parts are nested at most 4 deep
// and at most 32 altogether, a delivery status has at most 16 recipients and
// 64 KiB. What goes beyond is not looked at.
//
// # Trust
//
// None. The caller has found the tag in the recipient of the mail to be
// genuine, and [feedback.Intake] believes nothing but that tag and the kind of
// the report. Addresses and ids out of the mail are information.
package dsn
