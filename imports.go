// SPDX-License-Identifier: Apache-2.0

// Package threepid registers every Caddy module of this project: the app
// `threepid`, its handlers and its guest modules. It has no code of its own; it
// exists so that the module path alone is enough to build a Caddy:
//
//	xcaddy build --with github.com/caddy-threepid/caddy-threepid
//
// The modules themselves live, and are documented, in the package caddymodule and in
// those below it.
package threepid

import (
	// Plugging in is the whole purpose of this package.
	_ "github.com/caddy-threepid/caddy-threepid/caddymodule"
	_ "github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	_ "github.com/caddy-threepid/caddy-threepid/caddymodule/cli"
	_ "github.com/caddy-threepid/caddy-threepid/caddymodule/guests/badger"
	_ "github.com/caddy-threepid/caddy-threepid/caddymodule/guests/filemailer"
	_ "github.com/caddy-threepid/caddy-threepid/caddymodule/guests/filesms"
	_ "github.com/caddy-threepid/caddy-threepid/caddymodule/guests/httpsms"
	_ "github.com/caddy-threepid/caddy-threepid/caddymodule/guests/smtpmailer"
)
