// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// demand is a message that somebody asks for, and what it counts against.
type demand struct {
	id    threepid.ThreePID
	class ratelimit.Class
	by    []ratelimit.Network
	who   ratelimit.Asker
	// cells count whoever asks; strange only those from whose network the address was
	// never proven.
	cells, strange []ratelimit.Cell
	// mailbox and places are the names of what is known of the address, by every key;
	// none of what does not matter. Narrow is the network that it may be proven from.
	mailbox, places []string
	narrow          []uint64
	// cools says that the mailbox must not cool down.
	cools bool
	// sends says that it is for a message that goes out, if it can.
	sends bool

	// counted is what it was counted against, and wanted that it is known to be the
	// owner's; set by meet.
	counted []ratelimit.Cell
	wanted  bool
}

// coldNetwork is what a network has had of late at the most of which little was heard.
const coldNetwork = 8

// demand is what a request that sends something counts against, the budget left out.
func (s *limiter) demand(req Request) *demand {
	d := s.repetition(req)
	for i := range d.cells {
		d.cells[i].Share = 1
	}
	for i := range d.strange {
		d.strange[i].Share = 1
	}
	d.sends = true
	d.who.Reset, d.who.LoggedIn = req.Purpose == threepid.Password, req.LoggedIn
	if req.Purpose == threepid.Password || req.Purpose == threepid.Add {
		d.places, d.narrow = s.addressNames(req.ThreePID), s.networkHashes(ratelimit.Narrow(req.Client))
	}
	wide := ratelimit.Wide(req.Client)
	d.who.Cold = s.table.Heat.Of(wide, s.now()) <= coldNetwork
	if req.Medium == threepid.Email && !s.cfg.Mailboxes.Off() {
		d.mailbox = s.mailboxNames(mailboxOf(req.ThreePID))
	}
	return d
}

// Class says how sure it is that a message is wanted. A reset that the homeserver
// decides about is sent only if it grants it; a text message, however it decides.
func (r Request) Class() ratelimit.Class {
	switch {
	case r.LoggedIn || r.Purpose == threepid.Password && r.Granting && r.Medium == threepid.Email:
		return ratelimit.Owner
	case r.Begun:
		return ratelimit.Begun
	}
	return ratelimit.Newcomer
}

// repetition is what a request counts against that sends nothing.
func (s *limiter) repetition(req Request) *demand {
	d := &demand{
		id: req.ThreePID, cools: !req.Discreet,
		class: req.Class(), by: ratelimit.Networks(req.Client),
		who: ratelimit.Asker{By: s.networkHashes(ratelimit.Wide(req.Client))},
	}
	cell := func(kind ratelimit.Kind, limit ratelimit.Limit, subject ...string) []ratelimit.Cell {
		if limit.Off() {
			return nil
		}
		return []ratelimit.Cell{{Limit: limit, Kind: kind, Names: s.keys.HashTexts("limit "+string(kind), subject...), Share: repeatShare}}
	}
	if former := s.cfg.Mailboxes.Network == 0; !s.cfg.PerAddress.Off() && (former || req.Medium != threepid.Email) {
		d.cells = append(d.cells, s.mailbox(req.ThreePID, repeatShare))
	}
	if req.AccessToken != "" {
		d.cells = append(d.cells, cell(LimitUser, s.cfg.User, "token", string(req.AccessToken))...)
	}
	if req.UIA != "" {
		d.cells = append(d.cells, cell(LimitUIA, s.cfg.UIA, string(req.UIA))...)
	}
	if len(d.by) > 0 {
		d.cells = append(d.cells, cell(LimitClient, s.cfg.Client, string(d.by[0]))...)
		for _, wider := range d.by[1:] {
			d.strange = append(d.strange, cell(LimitNetwork, s.cfg.Network, string(wider))...)
		}
	}
	if req.Domain != "" && d.class != ratelimit.Owner {
		d.strange = append(d.strange, cell(LimitDomain, s.cfg.Domain, req.Domain)...)
	}
	return d
}

// network is the short hash of the network that a client is known by, or zero.
func (s *limiter) network(client netip.Addr) uint64 {
	if !client.IsValid() {
		return 0
	}
	return s.networkHashes(ratelimit.Wide(client))[0]
}

// networkHashes are short keyed hashes of a network, by every key.
func (s *limiter) networkHashes(n ratelimit.Network) (list []uint64) {
	for _, sum := range s.keys.Hashes("limit network of", string(n)) {
		list = append(list, binary.BigEndian.Uint64(sum[:8]))
	}
	return list
}

// meet counts a demand against everything that it concerns, or against nothing if
// something refuses.
func (s *limiter) meet(ctx context.Context, d *demand) error {
	err := s.take(ctx, func(txn store.Txn) (*LimitError, error) {
		d.counted = nil
		who, err := s.recognized(txn, d)
		if err != nil {
			return nil, err
		}
		if refused, err := s.cooled(txn, d, who); refused != nil || err != nil {
			return refused, err
		}
		write, refused, err := s.letter(txn, d, who)
		if refused != nil || err != nil {
			return refused, err
		}
		cells := d.against(who)
		r, err := s.table.Charge(txn, d.by, cells)
		if r != nil || err != nil {
			return limitError(r), err
		}
		d.counted, d.wanted = cells, who.Known
		return nil, write()
	})
	s.observe(d, err)
	return err
}

// against are the cells of a demand.
func (d *demand) against(who ratelimit.Asker) []ratelimit.Cell {
	class := d.class
	cells := slices.Clone(d.cells)
	if who.Known {
		class = ratelimit.Owner
	} else {
		cells = append(cells, d.strange...)
	}
	for i := range cells {
		if cells[i].Kind == LimitMessages {
			cells[i].Kept, cells[i].Fair = class.Kept(), true
		}
		if cells[i].Kind == LimitDomain { // of which there is no owner's part
			cells[i].Kept, cells[i].Fair = class.Kept()-ratelimit.Begun.Kept(), true
		}
	}
	return cells
}

// recognized says whether the owner of the address is known by the network of whoever
// asks.
func (s *limiter) recognized(txn store.Txn, d *demand) (ratelimit.Asker, error) {
	who := d.who
	if who.Known || len(d.places) == 0 {
		return who, nil
	}
	var from ratelimit.Places
	_, err := kindPlaces.First(txn, s.keys, d.places, &from)
	if errors.Is(err, store.ErrNotFound) {
		return who, nil
	}
	who.Known = err == nil && from.Knows(d.narrow)
	return who, err
}

// letter asks whether the mailbox may have one more, and returns what notes that it has.
func (s *limiter) letter(txn store.Txn, d *demand, who ratelimit.Asker) (write func() error, refused *LimitError, err error) {
	if len(d.mailbox) == 0 {
		return func() error { return nil }, nil, nil
	}
	letters, err := s.letters(txn, d.mailbox)
	if err != nil {
		return nil, nil, err
	}
	now := s.now()
	wait, pause := letters.Wait(s.cfg.Mailboxes, who, now)
	if wait > 0 {
		kind := LimitAddress
		if pause {
			kind = LimitPause
		}
		return nil, &LimitError{RetryAfter: wait, Limit: kind}, nil
	}
	return func() error {
		letters.Add(s.cfg.Mailboxes, who, now)
		return s.putLetters(txn, d.mailbox, letters)
	}, nil, nil
}

// letters are what is known of a mailbox.
func (s *limiter) letters(txn store.Txn, names []string) (*ratelimit.Letters, error) {
	letters := new(ratelimit.Letters)
	_, err := kindLetters.First(txn, s.keys, names, letters)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return letters, err
}

func (s *limiter) putLetters(txn store.Txn, names []string, letters *ratelimit.Letters) error {
	key, end := kindLetters.Key(names[0]), letters.Expires()
	if end.IsZero() {
		for _, name := range names { // by every key
			if err := txn.Delete(kindLetters.Key(name)); err != nil {
				return err
			}
		}
		return nil
	}
	return kindLetters.Put(txn, s.keys, key, letters, end)
}

// letterBack takes the newest letter back of whoever asked.
func (s *limiter) letterBack(txn store.Txn, d *demand) error {
	return s.changeLetters(txn, d.mailbox, func(l *ratelimit.Letters) { l.Back(d.who) })
}

func (s *limiter) changeLetters(txn store.Txn, names []string, change func(*ratelimit.Letters)) error {
	if len(names) == 0 {
		return nil
	}
	letters, err := s.letters(txn, names)
	if err != nil {
		return err
	}
	change(letters)
	return s.putLetters(txn, names, letters)
}

// observe notes what networks had, who was refused, and when newcomers get nothing.
func (s *limiter) observe(d *demand, err error) {
	now := s.now()
	refused, limited := errors.AsType[*LimitError](err)
	switch {
	case err == nil && d.sends:
		s.table.Heat.Add(d.network(), now)
		s.cfg.Observer.Asked(d.class, d.id.Medium, "")
	case limited:
		s.table.Heat.Refused(d.network(), now)
		s.cfg.Observer.Asked(d.class, d.id.Medium, refused.Limit)
		s.limited.Note(ratelimit.Entry{
			Limit: refused.Limit, Class: d.class, Network: d.network(), Subject: s.Pseudonym(d.id.Address),
			Last: now, Until: now.Add(refused.RetryAfter),
		})
		if (refused.Limit == LimitMessages || refused.Limit == LimitDomain) && d.class >= ratelimit.Newcomer {
			s.dry.Store(now.UnixNano())
			if s.dryTold.CompareAndSwap(false, true) {
				s.cfg.Observer.RanDry(true)
			}
		}
	}
}

func (d *demand) network() ratelimit.Network {
	if len(d.by) == 0 {
		return ""
	}
	return d.by[len(d.by)-1]
}

// ClassBudget is what a class may be sent at this moment, of a medium.
type ClassBudget struct {
	Medium     threepid.Medium
	Class      ratelimit.Class
	Left, Most int
	// Until is when there is something again, or zero if there is.
	Until time.Time
}

// Budgets are those of all classes. There are none without a limit.
func (s *limiter) Budgets(ctx context.Context) (list []ClassBudget, err error) {
	if s.cfg.Messages.Off() {
		return nil, nil
	}
	err = s.store.View(ctx, limitsPartition, func(txn store.Txn) error {
		list = nil
		for _, medium := range []threepid.Medium{threepid.Email, threepid.MSISDN} {
			for _, class := range ratelimit.Classes {
				budget := s.budget(medium)
				budget.Kept = class.Kept()
				used, until, err := s.table.State(txn, budget)
				if err != nil {
					return err
				}
				most := max(1, budget.Limit.Burst*(100-budget.Kept)/100)
				list = append(list, ClassBudget{medium, class, max(0, most-used), most, until})
			}
		}
		return nil
	})
	return list, err
}

// Limited are those who were refused of late.
func (s *limiter) Limited() []ratelimit.Entry { return s.limited.Entries(s.now()) }

// dryTime is how long the budget counts as used up after it has refused somebody.
const dryTime = 10 * time.Minute

// Dry reports whether newcomers were refused of late because there was nothing left for
// them.
func (s *limiter) Dry() bool {
	at := s.dry.Load()
	dry := at != 0 && s.now().Sub(time.Unix(0, at)) < dryTime
	if !dry && s.dryTold.CompareAndSwap(true, false) {
		s.cfg.Observer.RanDry(false)
	}
	return dry
}

// used notes that a session has proven its address from a network: whoever asks from
// there is its owner, and the messages that they have asked for were wanted. Should it
// fail, they are a stranger next time.
func (s *limiter) used(ctx context.Context, a *Alias) {
	narrow, wide := ratelimit.Narrow(a.client), ratelimit.Wide(a.client)
	if narrow == "" {
		return
	}
	who := ratelimit.Asker{By: s.networkHashes(wide)}
	_ = store.UpdateAsync(context.WithoutCancel(ctx), s.store, limitsPartition, func(txn store.Txn) error {
		names := s.addressNames(a.ThreePID)
		var from ratelimit.Places
		if _, err := kindPlaces.First(txn, s.keys, names, &from); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		from.Learn(s.networkHashes(narrow))
		if err := kindPlaces.Put(txn, s.keys, kindPlaces.Key(names[0]), from, s.now().Add(placeMemory)); err != nil {
			return err
		}
		return s.changeLetters(txn, s.mailboxNames(mailboxOf(a.ThreePID)), func(l *ratelimit.Letters) { l.Used(who) })
	})
}

// placeMemory is how long it is remembered from where an address was proven.
const placeMemory = 400 * day
