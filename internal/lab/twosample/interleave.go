// SPDX-License-Identifier: Apache-2.0

package twosample

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Interleave takes n measurements each of a and of b, from several workers. They
// come in pairs, each in random order, so that whatever changes meanwhile is in
// both samples.
func Interleave(n, workers int, a, b func() (time.Duration, error)) (ofA, ofB []time.Duration, err error) {
	ofA, ofB = make([]time.Duration, n), make([]time.Duration, n)
	faults := make([]error, workers)
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for w := range workers {
		wg.Go(func() {
			for faults[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				faults[w] = pair(&ofA[i], &ofB[i], a, b)
			}
		})
	}
	wg.Wait()
	return ofA, ofB, errors.Join(faults...)
}

// pair measures both, either first.
func pair(ofA, ofB *time.Duration, a, b func() (time.Duration, error)) (err error) {
	if rand.IntN(2) == 0 { //nolint:gosec // nobody is to be surprised
		ofA, ofB, a, b = ofB, ofA, b, a
	}
	if *ofA, err = a(); err != nil {
		return err
	}
	*ofB, err = b()
	return err
}
