// SPDX-License-Identifier: Apache-2.0

// Package handlers is the HTTP of the module, in plain net/http.
//
// [Client] is the client-facing side, in front of the homeserver: the
// requestToken endpoints, the page behind the link, the completing calls and
// /versions. [Identity] is the homeserver-facing side: as much of an identity
// server as a homeserver needs to ask whether an address was validated.
//
// Neither knows an upstream address. Whatever concerns the homeserver goes
// through the next handler, so the reverse proxy behind keeps its balancing,
// health checks and retries. Requests that are not ours reach next with the
// original ResponseWriter.
//
// One table (routes.go) says which paths are ours. Classification is on the
// canonical path; a path that only looks like one of ours to a more lenient
// parser is refused, because the homeserver may be that parser.
package handlers
