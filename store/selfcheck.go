// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrContract refuses a store that does not do what this package says.
var ErrContract = errors.New("the store does not keep to its contract")

// SelfCheck writes, reads, lists and deletes a few entries of its own, which is what can be
// seen of a store in a moment: that nothing is lost in silence, and that its clock is not
// far from now. Whether it is right in all, the suite in store/storetest says.
func SelfCheck(ctx context.Context, s Store, now time.Time) error {
	c := &selfCheck{ctx, s, rand.Text(), now.Add(time.Minute), now.Add(-time.Minute)}
	for _, step := range []struct {
		do   func(Txn) error
		says error
		what string
		left []string
	}{
		{func(Txn) error { return nil }, nil, "before anything is written", nil},
		{c.write, nil, "after a and b were written", []string{"a", "b"}},
		{c.fail, errOnPurpose, "after an update that has failed", []string{"a", "b"}},
		{c.remove, nil, "after all was deleted", nil},
	} {
		err := s.Update(ctx, selfPartition, step.do)
		switch {
		case errors.Is(err, step.says):
			err = c.holds(step.left)
		case err == nil:
			err = fmt.Errorf("%w: Update says nothing of it", ErrContract)
		}
		if err != nil {
			return fmt.Errorf("check the store %s: %w", step.what, err)
		}
	}
	return s.Ping(ctx)
}

// selfPartition is where the entries are, and otherPartition one that could be mistaken for
// it.
const selfPartition, otherPartition Partition = "self-check", "self-"

var errOnPurpose = errors.New("failed on purpose")

type selfCheck struct {
	ctx        context.Context
	store      Store
	name       string // of this check: there may be others
	soon, past time.Time
}

func (c *selfCheck) key(k string) string { return c.name + "/in/" + k }

// value is of bytes that are no text.
func (c *selfCheck) value(k string) []byte { return append([]byte{0, 0xff}, k...) }

// write writes a and b, and others that are not to be seen.
func (c *selfCheck) write(txn Txn) error {
	for _, k := range []string{"b", "a", "past"} {
		if err := txn.Set(c.key(k), c.value(k), c.soon); err != nil {
			return err
		}
	}
	err := errors.Join(txn.Set(c.key("past"), c.value("past"), c.past), txn.Set(c.name+"/out", c.value("out"), c.soon))
	if err != nil {
		return err
	}
	return c.gets(txn, []string{"a", "b"})
}

// fail changes what is there, in vain.
func (c *selfCheck) fail(txn Txn) error {
	if err := errors.Join(txn.Delete(c.key("a")), txn.Set(c.key("past"), c.value("past"), c.soon)); err != nil {
		return err
	}
	return errOnPurpose
}

func (c *selfCheck) remove(txn Txn) error {
	err := errors.Join(txn.Delete(c.key("a")), txn.Set(c.key("b"), c.value("b"), c.past), txn.Delete(c.key("none")), txn.Delete(c.name+"/out"))
	if err != nil {
		return err
	}
	return c.gets(txn, nil)
}

// gets compares what a transaction reads.
func (c *selfCheck) gets(txn Txn, want []string) error {
	for _, k := range []string{"a", "b", "past"} {
		value, err := txn.Get(c.key(k))
		there := slices.Contains(want, k)
		switch {
		case there && err == nil && string(value) == string(c.value(k)), !there && errors.Is(err, ErrNotFound):
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		default:
			return fmt.Errorf("%w: Get of %s has %q; it is found: %v", ErrContract, k, value, err == nil)
		}
	}
	return nil
}

// holds compares what there is in the store.
func (c *selfCheck) holds(want []string) error {
	err := c.store.View(c.ctx, selfPartition, func(txn Txn) error {
		switch err := txn.Set(c.key("a"), nil, c.soon); {
		case err == nil:
			return fmt.Errorf("%w: a View takes a Set", ErrContract)
		case !errors.Is(err, ErrReadOnly):
			return err
		}
		return c.gets(txn, want)
	})
	if err != nil {
		return err
	}
	for most := 1; most <= len(want)+1; most++ {
		var listed []string
		err := c.store.Scan(c.ctx, selfPartition, c.key(""), func(key string, _ []byte) (bool, error) {
			listed = append(listed, strings.TrimPrefix(key, c.key("")))
			return len(listed) < most, nil
		})
		if expected := want[:min(len(want), most)]; err == nil && !slices.Equal(listed, expected) {
			err = fmt.Errorf("%w: Scan lists %q, not %q", ErrContract, listed, expected)
		}
		if err != nil {
			return err
		}
	}
	return c.store.Scan(c.ctx, otherPartition, string(selfPartition[len(otherPartition):])+c.name, func(string, []byte) (bool, error) {
		return false, fmt.Errorf("%w: entries of one partition are found in another", ErrContract)
	})
}
