// SPDX-License-Identifier: Apache-2.0

// Command caddy is Caddy with the threepid modules compiled in. It is the
// program that `make build` produces; a build from xcaddy.json contains the
// same modules, and the drift test in internal/dev/xbuild holds the two together.
package main

import (
	// Time zones, for containers that ship none.
	_ "time/tzdata"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	// This project.
	_ "github.com/caddy-threepid/caddy-threepid"
)

func main() { caddycmd.Main() }
