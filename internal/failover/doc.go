// SPDX-License-Identifier: Apache-2.0

// Package failover hands a message to the first of several peers that is in order:
// relays for mail, or gateways for short messages. A peer that has failed several
// times in a row is left alone, until one message finds out whether it works again.
package failover
