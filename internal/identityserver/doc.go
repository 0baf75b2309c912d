// SPDX-License-Identifier: Apache-2.0

// Package identityserver is a client of the v2 identity service API, as far as
// a homeserver uses it for the identity server of a user's choice: to bind an
// address for lookup, and to unbind it (MSC2290; Identity Service API, "Identifier
// Association"). Nothing that it says counts for more than that.
//
// The server may be anybody's. Requests go through package outbound, and answers
// are taken for what they prove and no more: an answer that is not exactly as
// specified is [ErrUnavailable], never half a success. Errors name the server and
// the kind of failure only. They hold no token, secret or address, and no text of
// the server's choosing, so that they may be logged.
package identityserver
