// SPDX-License-Identifier: Apache-2.0

// Package smtptest is a real SMTP server on loopback that keeps what it is
// sent and fails on request. Tests, the demo and the end-to-end suite send
// their mail to it.
package smtptest
