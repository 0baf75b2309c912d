// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Kind says which limit has refused a request. It is a label of metrics, so the set is
// closed, and it never says whom it has refused.
type Kind string

// Queue refuses who had more of what runs low than others.
const Queue Kind = "queue"

// Cell is one limit for one subject: what a request counts against.
type Cell struct {
	Limit Limit
	Kind  Kind
	// Names are those by every key, the one in use first: what was counted
	// before a change of keys still counts.
	Names []string
	// Share makes one of so many repetitions cost as much as one request.
	Share int
	// Kept is how much is left to others, in percent of the burst.
	Kept int
	// Fair gives what is left, when more than half is gone, to networks that had least.
	Fair bool
	// Refund is what is given back of what it has cost.
	Refund time.Duration
	// DryRun refuses where there is no room, and counts nothing.
	DryRun bool
}

// Refusal is which limit refuses, and for how long.
type Refusal struct {
	Kind Kind
	Wait time.Duration
}

// longer is the one of two refusals that lasts longer; nil is none.
func longer(a, b *Refusal) *Refusal {
	if a == nil || (b != nil && b.Wait > a.Wait) {
		return b
	}
	return a
}

// Table is where cells are in a store: a kind of entries that are not sealed, all of
// which are in one partition.
type Table struct {
	Entries *sealed.Kind
	Heat    *Heat
	Now     func() time.Time
}

// Charge counts against all cells in a transaction, or against none if one refuses: then
// it returns the refusal that lasts longest. By is who asks.
func (t *Table) Charge(txn store.Txn, by []Network, cells []Cell) (refused *Refusal, err error) {
	now := t.Now()
	tats := make([]time.Time, len(cells))
	for i, c := range cells {
		tat, err := t.read(txn, c.Names)
		if err != nil {
			return nil, err
		}
		next, wait := c.Limit.hit(tat, now, c.Share, c.Kept)
		if wait > 0 {
			refused = longer(refused, &Refusal{c.Kind, wait})
		} else if wait = t.queue(by, c, next.Sub(now), now); wait > 0 {
			refused = longer(refused, &Refusal{Queue, wait})
		}
		tats[i] = next
	}
	if refused != nil {
		return refused, nil
	}
	for i, c := range cells {
		if c.DryRun {
			continue
		}
		if err := t.write(txn, c.Names[0], tats[i]); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// coldest is what a network may have had of late to get the last place that there is.
const coldest = 0.5

// queue is how long the networks of a client have to wait for what others had less of.
// Nobody has to before half of a cell's room was taken.
func (t *Table) queue(by []Network, c Cell, taken time.Duration, now time.Time) time.Duration {
	room := c.Limit.room(c.Kept)
	if !c.Fair || len(by) == 0 || taken-c.Limit.Cost(1) <= room/2 {
		return 0
	}
	left := float64(room-taken) / float64(c.Limit.Cost(1)) // places
	return t.Heat.Cools(by[len(by)-1], max(coldest, left/4), now)
}

// Refund undoes, in whole or in part, what was counted against cells.
func (t *Table) Refund(txn store.Txn, cells []Cell) error {
	for _, c := range cells {
		tat, err := t.read(txn, c.Names)
		if err != nil {
			return err
		}
		if tat.IsZero() {
			continue
		}
		// A time that has passed deletes the entry.
		if err := t.write(txn, c.Names[0], tat.Add(-c.Refund)); err != nil {
			return err
		}
	}
	return nil
}

// State is how many requests a cell is full of, and until when it refuses the next one,
// or zero.
func (t *Table) State(txn store.Txn, c Cell) (used int, until time.Time, err error) {
	tat, err := t.read(txn, c.Names)
	if err != nil {
		return 0, time.Time{}, err
	}
	now := t.Now()
	left, cost := c.Limit.within(tat, now).Sub(now), c.Limit.Cost(1)
	if _, wait := c.Limit.hit(tat, now, 1, c.Kept); wait > 0 {
		until = now.Add(wait)
	}
	return int((left + cost - 1) / cost), until, nil
}

// read is the latest tat under any of the names, and zero where there is none.
func (t *Table) read(txn store.Txn, names []string) (latest time.Time, err error) {
	for _, name := range names {
		raw, err := txn.Get(t.Entries.Key(name))
		if errors.Is(err, store.ErrNotFound) || (err == nil && len(raw) != 8) {
			continue
		}
		if err != nil {
			return time.Time{}, err
		}
		if tat := time.UnixMicro(int64(binary.BigEndian.Uint64(raw))); tat.After(latest) {
			latest = tat
		}
	}
	return latest, nil
}

func (t *Table) write(txn store.Txn, name string, tat time.Time) error {
	return t.Entries.Set(txn, t.Entries.Key(name), binary.BigEndian.AppendUint64(nil, uint64(tat.UnixMicro())), tat)
}
