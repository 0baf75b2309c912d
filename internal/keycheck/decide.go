// SPDX-License-Identifier: Apache-2.0

package keycheck

// Contents is what there is in a store, as far as the keys show it.
type Contents int

// The contents there can be.
const (
	// Empty: nothing is in it.
	Empty Contents = iota
	// Ours: the check record opens.
	Ours
	// Foreign: the check record does not open.
	Foreign
	// Readable: there is no check record, and something else opens.
	Readable
	// Unreadable: there is no check record, and nothing of what is sealed opens.
	Unreadable
	// Unsealed: there is no check record, and nothing that is sealed.
	Unsealed
	// Unseen: something is in it, and that is all that is known.
	Unseen
)

// Verdict is what is done about a key file and a store.
type Verdict int

// The verdicts.
const (
	// Create a key file for an empty store.
	Create Verdict = iota
	// Begin an empty store with keys that were there before. If there was
	// another store with them, it is lost.
	Begin
	// Open the store.
	Open
	// Adopt a store of before check records.
	Adopt
	// AdoptUnseen is Adopt of a store that may have been written with other
	// keys: there is nothing to try them on.
	AdoptUnseen
	// RefuseMissing: the key file is missing, and the store is not empty.
	RefuseMissing
	// RefuseOther: the key file is not that of the store.
	RefuseOther
)

// Refused reports whether nothing may be changed.
func (v Verdict) Refused() bool { return v == RefuseMissing || v == RefuseOther }

// Decide is the one rule. It never lets go of data: a key is made for a store
// that holds nothing, and a store that holds something is opened by keys that
// open what is in it.
func Decide(keyFile bool, c Contents) Verdict {
	if !keyFile {
		if c == Empty {
			return Create
		}
		return RefuseMissing
	}
	switch c {
	case Empty:
		return Begin
	case Ours:
		return Open
	case Readable:
		return Adopt
	case Unsealed:
		return AdoptUnseen
	case Foreign, Unreadable, Unseen:
	}
	return RefuseOther
}
