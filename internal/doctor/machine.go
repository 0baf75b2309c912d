// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Beyond these, a clock or a disk is worth a word.
const (
	skewWarning = 30 * time.Second
	skewError   = 5 * time.Minute
	diskWarning = 256 << 20
	diskError   = 64 << 20
)

// clock compares our clock to those that were seen on the way. Answers of this
// very machine agree with it whatever it says, so it is the worst that counts.
func (s *session) clock() *results {
	r := &results{check: &check{name: checkClock, good: "The clock agrees with those of the servers that answered."}, session: s}
	s.web.mu.Lock()
	defer s.web.mu.Unlock()
	if len(s.web.dates) == 0 {
		return r
	}
	worst := observed{}
	for _, seen := range s.web.dates {
		if seen.skew.Abs() > worst.skew.Abs() {
			worst = seen
		}
	}
	direction := "behind"
	if worst.skew < 0 {
		direction = "ahead of"
	}
	amount := worst.skew.Abs().Round(time.Second).String()
	switch {
	case worst.skew.Abs() > skewError:
		r.report(codeClockWrong, "Our clock is %s %s that of %s, so certificates and sessions are judged wrongly.", amount, direction, worst.host)
	case worst.skew.Abs() > skewWarning:
		r.report(codeClockSkew, "Our clock is %s %s that of %s.", amount, direction, worst.host)
	}
	r.close()
	return r
}

func (store Store) ping(ctx context.Context, r *results) {
	if err := store.Ping(ctx); err != nil {
		r.report(codeStoreFailed, "The store does not work: %s.", strings.TrimRight(err.Error(), "."))
	}
}

// Beyond that, a store is as old as its keys for all that matters, and what was
// lost with another one has ended by itself.
const (
	sameAge  = 10 * time.Minute
	newStore = 30 * 24 * time.Hour
)

// storeAge notices a store that is younger than its keys: the one before it is
// lost, or its volume is not mounted.
func (s *session) storeAge(ctx context.Context, store Store, r *results) {
	if store.Age == nil {
		return
	}
	age, err := store.Age(ctx)
	if err != nil || age.Begun.IsZero() {
		return // the ping says what is wrong with it
	}
	if s.opts.Now().Sub(age.Begun) < newStore && age.Begun.Sub(age.Keys) > sameAge {
		r.report(codeStoreNew, "The store was new on %s, but the key file is older: what a store of before knew is missing in this one.",
			age.Begun.UTC().Format(time.DateTime+" MST"))
	}
}

func (store Store) disk(_ context.Context, r *results) {
	free, err := store.Free()
	switch {
	case err != nil:
		r.report(codeDiskUnknown, "How much room is left cannot be found out: %s.", strings.TrimRight(err.Error(), "."))
	case free < diskError:
		r.report(codeDiskFull, "Only %s are left on the disk of the store.", mebibytes(free))
	case free < diskWarning:
		r.report(codeDiskLow, "Only %s are left on the disk of the store.", mebibytes(free))
	}
}

func mebibytes(n uint64) string { return fmt.Sprintf("%d MiB", n>>20) }
