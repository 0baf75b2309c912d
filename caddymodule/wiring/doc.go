// SPDX-License-Identifier: Apache-2.0

// Package wiring looks at a loaded configuration of Caddy's for what cannot
// work, or works only in part: a `threepid` that requests do not reach, or that
// has nothing behind it, an identity site that the homeserver does not find, a
// way to the homeserver past us.
//
// It asks nobody. It makes up requests, and follows them through the routes as
// Caddy would: with Caddy's own matchers and rewrites where they depend on the
// host, the method and the path of a request only. Every other matcher may match
// or not, and a handler that is not known may do anything. So what is told of is
// certain; what is not certain is not told of, because a line in the log that is
// wrong teaches people to read none.
package wiring
