// SPDX-License-Identifier: Apache-2.0

// Package admin is the Caddy module admin.api.threepid: what Caddy's admin endpoint
// answers about the verification of addresses, and does for its operator, with the
// bodies of requests and answers.
package admin
