// SPDX-License-Identifier: Apache-2.0

// Command xbuild builds a Caddy from xcaddy.json without xcaddy.
//
// The file follows the JSON tags of xcaddy's own Builder type, so that a
// program which embeds xcaddy can read it too; the xcaddy command itself reads
// no file. xbuild does what it does: it writes a main package that imports
// Caddy and the plugins into a temporary module, points the module at the
// replacements, and builds it. A release is built this way and not from
// cmd/caddy, because only a Caddy whose plugins are dependencies can report
// their versions in `caddy list-modules --versions`.
//
//	go run ./internal/dev/xbuild -config xcaddy.json -o build/caddy
//
// Modules that the replaced directory already depends on keep the versions of
// its go.mod and are verified against its go.sum, so that a build with a warm
// module cache needs no network.
package main
