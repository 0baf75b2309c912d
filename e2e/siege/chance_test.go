// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// chance is somebody's own: what one does changes nothing of what others draw.
func chance(seed uint64, whose string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(whose)) // it never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// pick draws one of several.
func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// within draws a time.
func within(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}
