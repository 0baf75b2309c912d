// SPDX-License-Identifier: Apache-2.0

// Package cli is `caddy threepid`: the commands of operators. Most of them ask the
// server that is running; see package admin for what it answers.
package cli
