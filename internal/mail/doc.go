// SPDX-License-Identifier: Apache-2.0

// Package mail composes one message for one recipient, and brings it to a
// relay over SMTP or into a folder.
//
// The MIME form is built by jordan-wright/email. It writes an address that it
// cannot parse into the header as it stands, does not fold, orders header
// fields at random, and sends without timeouts and with TLS only if it is
// offered. So everything it is given is checked before, the header is put in
// order after, and sending is done here, over emersion/go-smtp.
package mail
