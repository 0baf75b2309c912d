// SPDX-License-Identifier: Apache-2.0

// Package identity is the homeserver's face: as much of an identity server as a homeserver
// needs to ask whether an address was validated. It answers the homeserver, and nobody else.
package identity
