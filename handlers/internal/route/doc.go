// SPDX-License-Identifier: Apache-2.0

// Package route says which paths are ours, and what each is for.
//
// One table has a row for every path below a prefix and a version. Classification is
// on the canonical path; a path that only looks like one of ours to a more lenient
// parser is refused, because the homeserver may be that parser (oddpaths.go).
package route
