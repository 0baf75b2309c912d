// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	// The tests run what users run: the app with all its guests.
	_ "github.com/caddy-threepid/caddy-threepid"
)
