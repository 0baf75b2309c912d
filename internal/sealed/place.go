// SPDX-License-Identifier: Apache-2.0

package sealed

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// Partitions is how many shards the key space has. 64 is enough to spread over a
// Redis Cluster and few enough to sweep all of them.
const Partitions = 64

// PartitionSize is how long the name of a shard is: two hexadecimal digits.
const PartitionSize = 2

// PartitionName returns the n-th shard.
func PartitionName(n int) store.Partition {
	return store.Partition(fmt.Sprintf("%02x", n%Partitions))
}

// PartitionOf picks the shard of a name that is a keyed hash already.
func PartitionOf(name string) store.Partition {
	h := fnv.New32a()
	h.Write([]byte(name))
	return PartitionName(int(h.Sum32() % Partitions))
}

// PartitionIn reads the shard that an identifier begins with.
func PartitionIn[T ~string](id T) (store.Partition, bool) {
	if len(id) < PartitionSize {
		return "", false
	}
	const digits = "0123456789abcdef"
	hi, lo := strings.IndexByte(digits, id[0]), strings.IndexByte(digits, id[1])
	if hi < 0 || lo < 0 || hi<<4|lo >= Partitions {
		return "", false
	}
	return store.Partition(id[:PartitionSize]), true
}

// Place is where the entries of a kind are.
type Place struct {
	sharded bool
	fixed   store.Partition // of all names; or empty
}

var (
	// Sharded: in all shards, each in that of its name, or of the session that it
	// belongs to.
	Sharded = Place{sharded: true}
	// Together: in the first shard, so that one transaction can write several. Earlier
	// versions had some of them in others.
	Together = Place{sharded: true, fixed: PartitionName(0)}
)

// In is a partition of its own.
func In(p store.Partition) Place { return Place{fixed: p} }

func (p Place) partitions() (list []store.Partition) {
	if !p.sharded {
		return []store.Partition{p.fixed}
	}
	for n := range Partitions {
		list = append(list, PartitionName(n))
	}
	return list
}

func (p Place) has(partition store.Partition) bool {
	if !p.sharded {
		return partition == p.fixed
	}
	_, shard := PartitionIn(string(partition))
	return shard && len(partition) == PartitionSize
}

// All are the partitions of all kinds.
func All() (list []store.Partition) {
	for _, k := range kinds {
		for _, p := range k.place.partitions() {
			if !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list
}
