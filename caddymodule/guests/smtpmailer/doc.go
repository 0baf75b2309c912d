// SPDX-License-Identifier: Apache-2.0

// Package smtpmailer is the guest module threepid.mailers.smtp.
package smtpmailer
