// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// maxStrikes is how many strikes of one address are remembered, the newest.
const maxStrikes = 32

// suppressions are the records, each under a keyed hash of its address.
var suppressions = sealed.Declare("suppressions", "x/", sealed.Sharded, sealed.Moved[*Suppression](), sealed.Kept,
	sealed.Named(func(q *sealed.Query) ([]string, error) {
		names, _, err := suppressionNames(q.Keys, q.ThreePID)
		return names, err
	}))

// record is what is kept of one address. Times are in milliseconds, UTC.
//
// Both halves are merged by a rule that does not care for order: of two
// reasons the stronger one stays, and strikes are a set. That too many strikes
// suppress is not stored but follows, at every look.
type record struct {
	Medium  threepid.Medium `cbor:"1,keyasint"`
	Address string          `cbor:"2,keyasint"`
	Reason  Reason          `cbor:"3,keyasint,omitempty"`
	Since   int64           `cbor:"4,keyasint,omitempty"`
	Until   int64           `cbor:"5,keyasint,omitempty"`
	Code    string          `cbor:"6,keyasint,omitempty"`
	Strikes []strike        `cbor:"7,keyasint,omitempty"`
}

// ThreePID is the address that it is about.
func (r *record) ThreePID() threepid.ThreePID {
	return threepid.ThreePID{Medium: r.Medium, Address: r.Address}
}

// strike is one bounce that does not suppress alone.
type strike struct {
	At   int64  `cbor:"1,keyasint"`
	ID   []byte `cbor:"2,keyasint"`
	Code string `cbor:"3,keyasint,omitempty"`
}

func (s strike) compare(o strike) int {
	return cmp.Or(cmp.Compare(s.At, o.At), bytes.Compare(s.ID, o.ID), cmp.Compare(s.Code, o.Code))
}

// merge keeps the stronger of what is known and what is new: a total order, so
// that the result depends on neither sequence nor repetition.
func (r *record) merge(e Entry) {
	since, until := e.Since.UnixMilli(), e.Until.UnixMilli()
	stronger := cmp.Or(
		cmp.Compare(until, r.Until),
		cmp.Compare(slices.Index(reasons, e.Reason), slices.Index(reasons, r.Reason)),
		cmp.Compare(r.Since, since), // since longer
		cmp.Compare(e.Code, r.Code),
	)
	if stronger > 0 {
		r.Reason, r.Since, r.Until, r.Code = e.Reason, since, until, e.Code
	}
}

// strike adds one to the set, of which the newest are kept, oldest first.
func (r *record) strike(s strike) {
	if i := slices.IndexFunc(r.Strikes, func(o strike) bool { return bytes.Equal(o.ID, s.ID) }); i >= 0 {
		s = slices.MinFunc([]strike{s, r.Strikes[i]}, strike.compare) // told again, maybe with another time
		r.Strikes = slices.Delete(r.Strikes, i, i+1)
	}
	at, _ := slices.BinarySearchFunc(r.Strikes, s, strike.compare)
	r.Strikes = slices.Insert(r.Strikes, at, s)
	r.Strikes = r.Strikes[max(0, len(r.Strikes)-maxStrikes):]
}

// soft is the suppression that follows from the strikes, if any.
func (r *record) soft(p Policy) (Entry, bool) {
	for last := len(r.Strikes) - 1; last >= p.Strikes-1; last-- {
		first, s := r.Strikes[last-(p.Strikes-1)], r.Strikes[last]
		if s.At-first.At <= p.Window.Milliseconds() {
			at := time.UnixMilli(s.At).UTC()
			return Entry{Reason: ReasonSoft, Since: at, Until: at.Add(p.Soft), Code: s.Code}, true
		}
	}
	return Entry{}, false
}

// entry is the suppression that is in force.
func (r *record) entry(p Policy, now time.Time) (Entry, bool) {
	whole := *r
	if e, ok := r.soft(p); ok {
		whole.merge(e)
	}
	e := Entry{Reason: whole.Reason, Since: time.UnixMilli(whole.Since).UTC(), Until: time.UnixMilli(whole.Until).UTC(), Code: whole.Code}
	if !e.Until.After(now) {
		return Entry{}, false
	}
	return e, true
}

// expires is when nothing in the record matters any more.
func (r *record) expires(p Policy) time.Time {
	end := time.UnixMilli(r.Until)
	if n := len(r.Strikes); n > 0 {
		if last := time.UnixMilli(r.Strikes[n-1].At).Add(p.Window + p.Soft); last.After(end) {
			end = last
		}
	}
	return end
}

// prune drops the strikes that can neither suppress now nor count later. An
// end that has passed stays: it loses against any that has not.
func (r *record) prune(p Policy, now time.Time) {
	old := now.Add(-p.Window - p.Soft).UnixMilli()
	r.Strikes = slices.DeleteFunc(r.Strikes, func(s strike) bool { return s.At <= old })
}

// change reads, changes and writes the record of one address.
func (s *Suppression) change(ctx context.Context, id threepid.ThreePID, edit func(*record)) error {
	places, id, err := s.locate(id)
	if err != nil {
		return err
	}
	former, err := s.former(ctx, places[1:])
	if err != nil {
		return fmt.Errorf("read suppression: %w", err)
	}
	now, key := s.cfg.Now(), places[0].key
	err = s.cfg.Store.Update(ctx, places[0].partition, func(txn store.Txn) error {
		r := record{}
		if err := suppressions.Get(txn, s.cfg.Keys, key, &r); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		r.take(former)
		r.Medium, r.Address = id.Medium, id.Address
		r.prune(s.cfg.Policy, now)
		edit(&r)
		return suppressions.Put(txn, s.cfg.Keys, key, &r, r.expires(s.cfg.Policy))
	})
	if err != nil {
		return fmt.Errorf("change suppression: %w", err)
	}
	return s.leave(ctx, places[1:])
}
