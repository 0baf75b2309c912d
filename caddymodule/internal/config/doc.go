// SPDX-License-Identifier: Apache-2.0

// Package config reads and judges options, for the app and for the guest modules
// of this repository: the subdirectives of a Caddyfile, placeholders, and what is
// wrong with a configuration, each fault with its line or its name in JSON.
//
// A guest of somebody else needs none of it. Its faults are told by Caddy.
package config
