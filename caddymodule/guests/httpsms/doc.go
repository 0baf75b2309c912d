// SPDX-License-Identifier: Apache-2.0

// Package httpsms is the guest module threepid.sms.http: gateways that are called by
// HTTP, described by the operator or known as a preset.
package httpsms
