// SPDX-License-Identifier: Apache-2.0

// Command licenses looks at the licence of every module that is linked into
// cmd/caddy, and renders docs/licenses.md: what this project adds to a plain
// Caddy, for those who hand the program on.
//
// It reads the modules as they lie in the module cache, by `go list`, and
// recognises the texts by github.com/google/licensecheck. A module without a
// licence, with one that is not recognised, or with one that is not on the list
// of those that may be linked, is an error; so is, with -check, a document that
// is out of date. With -write the document is replaced.
package main
