// SPDX-License-Identifier: Apache-2.0

// Package outbound makes HTTP requests that are safe to aim at a server whose
// name a stranger chose: the identity server in the body of a bind request is
// such a name (MSC2290, POST /account/3pid/bind).
//
// Four things can go wrong with such a name, and each has its guard here:
//
//   - It may be more than a name: a URL, credentials, a path, an address in a
//     notation that one parser refuses and the next one accepts. [ParseName]
//     admits host[:port] in one canonical spelling, and the client takes nothing
//     else.
//   - It may lead into our own network, now or at the second look (DNS
//     rebinding). The client resolves a name once per connection, judges every
//     address of the answer by [CheckAddress] and dials only addresses that it
//     judged, as literals: no second look-up can differ from the first.
//   - It may lead elsewhere: by a redirect, or through a proxy named in the
//     environment. Neither is followed.
//   - What answers may be hostile: silent, slow, endless or unproven. There is
//     one deadline over everything, a cap on headers and body, no decompression,
//     and TLS with a certificate for exactly that name.
package outbound
