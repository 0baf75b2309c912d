// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
)

// seenFor is how long something counts that requests have shown once.
const seenFor = 24 * time.Hour

// sightings are what only requests can show of how things are put together. They
// belong to one configuration: another may be better.
type sightings struct {
	mu   sync.Mutex
	seen []*sighting
}

// sighting is one of them.
type sighting struct {
	problem    doctor.WiringProblem
	count      int
	last, said time.Time
}

// note takes one in, and reports whether it is to be said: not more often than
// once in a while.
func (s *sightings) note(p doctor.WiringProblem, now time.Time, while time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.seen, func(x *sighting) bool { return x.problem.Code == p.Code })
	if i < 0 {
		i = len(s.seen)
		s.seen = append(s.seen, &sighting{problem: p})
	}
	x := s.seen[i]
	x.count++
	x.last = now
	if !x.said.IsZero() && now.Sub(x.said) < while {
		return false
	}
	x.said = now
	return true
}

// gone drops what has been shown to be so no longer.
func (s *sightings) gone(codes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = slices.DeleteFunc(s.seen, func(x *sighting) bool { return slices.Contains(codes, x.problem.Code) })
}

// problems are those of the last day.
func (s *sightings) problems(now time.Time) []doctor.WiringProblem {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []doctor.WiringProblem
	for _, x := range s.seen {
		if now.Sub(x.last) > seenFor {
			continue
		}
		p := x.problem
		p.Problem += " Seen %d times, the last time at %s."
		p.Values = append(slices.Clone(p.Values), x.count, x.last.Format(time.DateTime))
		list = append(list, p)
	}
	return list
}
