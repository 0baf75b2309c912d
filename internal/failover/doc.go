// SPDX-License-Identifier: Apache-2.0

// Package failover leaves a peer alone that has failed several times in a row,
// and finds out with one message whether it works again. Relays for mail and
// gateways for short messages are such peers.
package failover
