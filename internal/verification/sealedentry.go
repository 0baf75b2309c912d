// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"slices"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// SealedEntry reports whether an entry is a sealed record of this service or of
// the outbox.
func SealedEntry(p store.Partition, key string) bool {
	if _, ours := partitionOf(string(p)); !ours || len(p) != partitionSize {
		return false
	}
	return slices.Contains(sealedKinds, kindOf(key)+"/")
}

// PartitionNames are all partitions.
func PartitionNames() []store.Partition {
	names := make([]store.Partition, Partitions)
	for n := range names {
		names[n] = PartitionName(n)
	}
	return names
}
