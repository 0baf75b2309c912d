// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// Slot is a transaction that keeps the value that was set last, and can do no more.
type Slot struct {
	store.Txn
	Value []byte
}

// Set keeps the value.
func (s *Slot) Set(_ string, value []byte, _ time.Time) error {
	s.Value = value
	return nil
}
