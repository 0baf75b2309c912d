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

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Reason is why an address gets no mail.
type Reason string

// The reasons there are.
const (
	// ReasonManual: an operator said so.
	ReasonManual Reason = "manual"
	// ReasonSoft: too many messages in a row did not arrive.
	ReasonSoft Reason = "soft"
	// ReasonBounce: the address does not exist.
	ReasonBounce Reason = "bounce"
	// ReasonComplaint: the reader called our mail spam.
	ReasonComplaint Reason = "complaint"
)

// reasons in the order in which one outweighs another of the same end.
var reasons = []Reason{ReasonManual, ReasonSoft, ReasonBounce, ReasonComplaint}

var errReason = errors.New("reason is unknown")

// Policy says for how long an address gets no mail. Zero values are replaced
// by those of [defaultPolicy].
type Policy struct {
	// Bounce is the time after a bounce for which [Report.Hard] holds.
	Bounce time.Duration
	// Complaint is the time after a complaint.
	Complaint time.Duration
	// Strikes other bounces within Window cost Soft.
	Strikes int
	Window  time.Duration
	Soft    time.Duration
}

const day = 24 * time.Hour

// defaultPolicy forgets: a mailbox that did not exist may be made, and a
// reader may press the wrong button.
func defaultPolicy() Policy {
	return Policy{Bounce: 90 * day, Complaint: 365 * day, Strikes: 5, Window: 7 * day, Soft: 7 * day}
}

// Entry says why, since when and until when an address gets no mail.
type Entry struct {
	Reason Reason
	Since  time.Time
	Until  time.Time
	// Code is the enhanced status code that the reason came with, or empty.
	Code string
}

// SuppressionConfig is what a Suppression is made of. Store and Keys are
// required.
type SuppressionConfig struct {
	Store  store.Store
	Keys   *keyring.Ring
	Policy Policy
	// Now is the clock; nil means the real one.
	Now func() time.Time
}

// Suppression is the list of addresses that get no mail for a while. In the
// store an address is a keyed hash, and its record is sealed. Records of before
// a change of keys are found under their former names, and move when they are
// written, or by [Suppression.Reseal].
type Suppression struct {
	cfg SuppressionConfig
}

// NewSuppression checks the configuration and fills in defaults.
func NewSuppression(cfg SuppressionConfig) (*Suppression, error) {
	if cfg.Store == nil || cfg.Keys == nil {
		return nil, errors.New("store and keys are required")
	}
	def := defaultPolicy()
	p := &cfg.Policy
	p.Bounce, p.Complaint, p.Strikes = cmp.Or(p.Bounce, def.Bounce), cmp.Or(p.Complaint, def.Complaint), cmp.Or(p.Strikes, def.Strikes)
	p.Window, p.Soft = cmp.Or(p.Window, def.Window), cmp.Or(p.Soft, def.Soft)
	if min(p.Bounce, p.Complaint, time.Duration(p.Strikes), p.Window, p.Soft) < 0 {
		return nil, errors.New("times and counts of the suppression policy must be positive")
	}
	if p.Strikes > maxStrikes {
		return nil, fmt.Errorf("%d strikes are more than the %d that are remembered", p.Strikes, maxStrikes)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Suppression{cfg: cfg}, nil
}

// Add suppresses an address until a time. It never shortens: what is already
// known stays, until [Suppression.Remove].
func (s *Suppression) Add(ctx context.Context, medium verification.Medium, addr string, reason Reason, until time.Time) error {
	now := s.cfg.Now()
	if !slices.Contains(reasons, reason) {
		return errReason
	}
	if !until.After(now) {
		return errors.New("suppression would end before it starts")
	}
	return s.change(ctx, medium, addr, func(r *record) { r.merge(Entry{Reason: reason, Since: now, Until: until}) })
}

// Record does what the policy says of a report. A report that says nothing
// against the address changes nothing.
func (s *Suppression) Record(ctx context.Context, medium verification.Medium, addr string, report Report) error {
	now, p := s.cfg.Now(), s.cfg.Policy
	at := report.At
	if at.IsZero() || at.After(now) {
		at = now // nobody's clock but ours makes a suppression longer
	}
	switch {
	case report.Kind == Complaint:
		return s.entry(ctx, medium, addr, now, Entry{Reason: ReasonComplaint, Since: at, Until: at.Add(p.Complaint), Code: report.Code})
	case report.Hard():
		return s.entry(ctx, medium, addr, now, Entry{Reason: ReasonBounce, Since: at, Until: at.Add(p.Bounce), Code: report.Code})
	case report.Kind == Bounce && at.Add(p.Window+p.Soft).After(now):
		return s.change(ctx, medium, addr, func(r *record) {
			r.strike(strike{At: at.UnixMilli(), ID: s.eventID(r, report), Code: report.Code})
		})
	}
	return nil
}

func (s *Suppression) entry(ctx context.Context, medium verification.Medium, addr string, now time.Time, e Entry) error {
	if !e.Until.After(now) {
		return nil // an old report that comes again
	}
	return s.change(ctx, medium, addr, func(r *record) { r.merge(e) })
}

// eventID tells two bounces apart and knows a repetition again, by the id that
// the record has for it already. A report without a name of its own is told by
// what it says.
func (s *Suppression) eventID(known *record, r Report) []byte {
	if r.ID == "" {
		r.ID = r.MessageID + "|" + r.VERPTag + "|" + r.Code + "|" + r.At.UTC().Format(time.RFC3339Nano)
	}
	sums := s.cfg.Keys.Hashes("suppression event", r.ID)
	for _, sum := range sums[1:] {
		if slices.ContainsFunc(known.Strikes, func(s strike) bool { return bytes.Equal(s.ID, sum[:8]) }) {
			return sum[:8]
		}
	}
	return sums[0][:8]
}

// Lookup reports whether an address gets no mail now, and why.
func (s *Suppression) Lookup(ctx context.Context, medium verification.Medium, addr string) (Entry, bool, error) {
	places, _, err := s.locate(medium, addr)
	if err != nil {
		return Entry{}, false, err
	}
	r, err := s.former(ctx, places)
	if err != nil {
		return Entry{}, false, fmt.Errorf("look up suppression: %w", err)
	}
	e, ok := r.entry(s.cfg.Policy, s.cfg.Now())
	return e, ok, nil
}

// Remove forgets everything about an address, strikes too, and reports whether
// there was anything.
func (s *Suppression) Remove(ctx context.Context, medium verification.Medium, addr string) (bool, error) {
	places, _, err := s.locate(medium, addr)
	if err != nil {
		return false, err
	}
	found := false
	for _, at := range slices.Backward(places) { // see former
		var here bool
		err = s.cfg.Store.Update(ctx, at.partition, func(txn store.Txn) error {
			_, err := txn.Get(at.key)
			if here = err == nil; !here && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return txn.Delete(at.key)
		})
		if err != nil {
			return false, fmt.Errorf("remove suppression: %w", err)
		}
		found = found || here
	}
	return found, nil
}

// place is where a record is.
type place struct {
	partition store.Partition
	key       string
}

// locate returns where the record of an address is, by every key, the one in use
// first, and its canonical form.
func (s *Suppression) locate(medium verification.Medium, addr string) ([]place, string, error) {
	names, addr, err := suppressionNames(s.cfg.Keys, medium, addr)
	places := make([]place, len(names))
	for i, name := range names {
		places[i] = place{suppressions.Partition(name), suppressions.Key(name)}
	}
	return places, addr, err
}

func suppressionNames(keys *keyring.Ring, medium verification.Medium, addr string) (names []string, canonical string, err error) {
	if medium == verification.Email {
		if addr, err = address.Email(addr); err != nil {
			return nil, "", err
		}
	}
	if addr == "" {
		return nil, "", address.ErrInvalid
	}
	return keys.HashTexts("suppression", string(medium), addr), addr, nil
}
