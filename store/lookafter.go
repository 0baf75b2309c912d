// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"io"
)

// Backuper is a [Store] that can be backed up while it serves.
type Backuper interface {
	// WriteBackup writes what the store holds at this moment, all of the same
	// moment. Whoever reads it can tell if it is not whole.
	WriteBackup(ctx context.Context, w io.Writer) error
}

// Compacter is a [Store] whose files keep what was deleted until it is asked.
type Compacter interface {
	// Compact takes out of the files what is deleted.
	Compact(ctx context.Context) error
}
