// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// unopened stands for a store that is not open yet.
type unopened struct{ store.Store }

// Validate checks everything that does not need a store, so that a configuration
// can be refused before one is opened.
func (c Config) Validate() error {
	c.Store, c.Keys = unopened{}, new(keyring.Ring)
	_, err := New(c)
	return err
}
