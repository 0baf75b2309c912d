// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var policy = Presets[Community].Mailboxes

// box asks for letters to one mailbox.
type box struct {
	Letters
	now time.Time
}

func (b *box) ask(who Asker) (wait time.Duration) {
	wait, _ = b.Wait(policy, who, b.now)
	if wait == 0 {
		b.Add(policy, who, b.now)
	}
	return wait
}

func stranger(by uint64) Asker { return Asker{By: []uint64{by}, Reset: true, Cold: true} }

func TestPausesGrow(t *testing.T) {
	b := &box{now: noon}
	member := stranger(1)
	member.LoggedIn = true
	for i, pause := range []time.Duration{0, time.Minute, 5 * time.Minute, 30 * time.Minute, 30 * time.Minute} {
		if got := b.ask(member); got != pause {
			t.Errorf("letter %d: got to wait %v, want %v", i+1, got, pause)
		}
		b.now = b.now.Add(pause)
		if pause > 0 && b.ask(member) != 0 {
			t.Errorf("letter %d: refused after its pause", i+1)
		}
	}
	b.now = b.now.Add(time.Hour)
	if got := b.ask(member); got <= 20*time.Hour {
		t.Errorf("a sixth letter: got to wait %v, want until the first is a day old", got)
	}
}

// TestOneRepetitionAtOnce: who goes on with their own session need not wait for the second.
func TestOneRepetitionAtOnce(t *testing.T) {
	b := &box{now: noon}
	who := stranger(1)
	b.ask(who)
	who.Again = true
	if got := b.ask(who); got != 0 {
		t.Errorf("got to wait %v, want to have the second at once", got)
	}
	if got := b.ask(who); got != time.Minute {
		t.Errorf("got to wait %v, want a minute before the third", got)
	}
}

func TestStrangersHaveFiveADay(t *testing.T) {
	b := &box{now: noon}
	for n := range uint64(4) {
		if got := b.ask(stranger(n)); got != 0 {
			t.Fatalf("network %d: got to wait %v", n, got)
		}
	}
	fifth := stranger(4)
	fifth.Reset = false
	if got := b.ask(fifth); got != Day {
		t.Errorf("a fifth: got to wait %v, want a day", got)
	}
	if fifth.LoggedIn = true; b.ask(fifth) != 0 {
		t.Error("a fifth of who is logged in is refused")
	}
	late := stranger(9)
	late.Reset = false
	if got := b.ask(late); got != Day {
		t.Errorf("a sixth: got to wait %v, want a day", got)
	}
	if got := b.ask(stranger(3)); got == 0 {
		t.Error("one who had theirs gets the letter that is kept for who had none")
	}
	hot := stranger(9)
	hot.Cold = false
	if got := b.ask(hot); got != policy.Spare {
		t.Errorf("one that is heard of everywhere: got to wait %v, want %v", got, policy.Spare)
	}
	if got := b.ask(stranger(9)); got != 0 {
		t.Errorf("who had none: got to wait %v, want the letter that is kept", got)
	}
	if got := b.ask(stranger(10)); got != policy.Spare {
		t.Errorf("the next: got to wait %v, want %v", got, policy.Spare)
	}
	b.now = b.now.Add(policy.Spare)
	if got := b.ask(stranger(10)); got != 0 {
		t.Errorf("an hour later: got to wait %v", got)
	}
}

// TestStrangersNeverLockTheOwnerOut: whatever they ask for, whenever, from wherever, whoever
// is known to be the owner waits for nobody but themselves; and the owner who comes from
// somewhere new waits for an hour at most, if strangers have not as many networks as there
// are hours.
func TestStrangersNeverLockTheOwnerOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &box{now: noon}
		networks := rapid.Uint64Range(1, 30).Draw(t, "networks")
		for range rapid.IntRange(0, 200).Draw(t, "requests") {
			b.now = b.now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "gap")))
			who := stranger(rapid.Uint64Range(1, networks).Draw(t, "network"))
			who.Again, who.Reset = rapid.Bool().Draw(t, "again"), rapid.Bool().Draw(t, "reset")
			b.ask(who)
		}
		owner := Asker{By: []uint64{1000}, Known: true}
		if got := b.ask(owner); got != 0 {
			t.Fatalf("the owner has to wait %v", got)
		}
		b.Back(owner)
		if got := b.ask(stranger(2000)); got > policy.Spare {
			t.Fatalf("the owner, from somewhere new, has to wait %v", got)
		}
	})
}

// TestAtMostSoManyWithinAnyDay: strangers' letters, those of one network, and those that
// are kept, over any window, whatever the clock does meanwhile.
func TestAtMostSoManyWithinAnyDay(t *testing.T) {
	type asked struct {
		at   time.Time
		by   uint64
		kind As
	}
	rapid.Check(t, func(t *rapid.T) {
		b := &box{now: noon}
		var all []asked
		for range rapid.IntRange(1, 150).Draw(t, "requests") {
			b.now = b.now.Add(time.Duration(rapid.Int64Range(0, int64(3*time.Hour)).Draw(t, "gap")))
			who := stranger(rapid.Uint64Range(1, 12).Draw(t, "network"))
			who.Known, who.Again = rapid.IntRange(0, 9).Draw(t, "known") == 0, rapid.Bool().Draw(t, "again")
			if b.ask(who) == 0 {
				all = append(all, asked{b.now, who.By[0], b.List[len(b.List)-1].As})
			}
		}
		for _, end := range all {
			var strangers, spared, own int
			for _, a := range all {
				if a.at.After(end.at) || !a.at.After(end.at.Add(-Day)) {
					continue
				}
				if a.by == end.by {
					own++
				}
				switch a.kind {
				case Stranger:
					strangers++
				case Spared:
					spared++
				case Known:
				}
			}
			if strangers > policy.Strangers || spared > int(Day/policy.Spare) || own > policy.Network {
				t.Fatalf("in the day until %v: %d for strangers, %d spared, %d for one network", end.at, strangers, spared, own)
			}
		}
	})
}

// TestLettersComeBack: those that were not sent, and those that were used.
func TestLettersComeBack(t *testing.T) {
	b := &box{now: noon}
	b.ask(stranger(1))
	b.ask(stranger(2))
	b.Back(stranger(1))
	if len(b.List) != 1 || b.List[0].By != 2 {
		t.Fatalf("got %+v, want that of the other", b.List)
	}
	b.Back(stranger(1)) // there is none
	b.now = b.now.Add(time.Hour)
	b.ask(stranger(2))
	b.Used(Asker{By: []uint64{7, 2}}) // by its former name
	if len(b.List) != 0 || !b.Expires().IsZero() {
		t.Errorf("got %+v, want none", b.List)
	}
}

func TestClosedNetworks(t *testing.T) {
	b := &box{now: noon}
	b.Refuse(1, noon.Add(time.Hour))
	if got := b.Refused([]uint64{9, 1}, noon); got != time.Hour {
		t.Errorf("got %v, want an hour", got)
	}
	if got := b.Refused([]uint64{2}, noon); got != 0 {
		t.Errorf("another network: got %v", got)
	}
	if got := b.Expires(); !got.Equal(noon.Add(time.Hour)) {
		t.Errorf("expires %v, want with it", got)
	}
	for n := range uint64(2 * mostClosed) {
		b.Refuse(n+10, noon.Add(time.Hour))
	}
	if len(b.Closed) != mostClosed {
		t.Errorf("got %d, want the newest %d", len(b.Closed), mostClosed)
	}
	b.tidy(noon.Add(time.Hour))
	if len(b.Closed) != 0 || !b.Expires().IsZero() {
		t.Errorf("got %+v, want none", b.Closed)
	}
}

func TestPlaces(t *testing.T) {
	var p Places
	p.Learn(nil)
	for n := range uint64(mostKnown + 2) {
		p.Learn([]uint64{n})
	}
	p.Learn([]uint64{100, 5}) // 5 by another key
	if len(p.Networks) != mostKnown || p.Networks[0] != 100 || p.Knows([]uint64{5}) || p.Knows([]uint64{0}) || !p.Knows([]uint64{1, 9}) {
		t.Errorf("got %v", p.Networks)
	}
	if p.Knows(nil) {
		t.Error("nobody is known")
	}
}
