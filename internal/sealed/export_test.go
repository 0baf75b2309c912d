// SPDX-License-Identifier: Apache-2.0

package sealed

import "testing"

// Kinds are all that are declared.
func Kinds() []*Kind { return kinds }

// Alone lets a test declare kinds of its own, in place of all others.
func Alone(t *testing.T) {
	t.Helper()
	all := kinds
	kinds = nil
	t.Cleanup(func() { kinds = all })
}

// Errors and bounds that tests name.
var ErrKind = errKind

const EraseAtOnce = eraseAtOnce

// IsSealed reports whether the values of a kind are sealed records.
func (k *Kind) IsSealed() bool { return k.rotation.after != unsealed }

// String says all that was declared.
func (k *Kind) String() string {
	text := k.prefix + " " + k.name + ": "
	switch {
	case !k.place.sharded:
		text += "in " + string(k.place.fixed)
	case k.place.fixed != "":
		text += "together"
	default:
		text += "sharded"
	}
	text += map[after]string{unsealed: ", unsealed", left: ", left", awaited: ", awaited"}[k.rotation.after]
	if k.rotation.mover != nil {
		text += " and moved"
	}
	text += map[Restore]string{Kept: ", kept, ", Dropped: ", dropped, "}[k.restore]
	switch f := k.forget; {
	case f.why != "":
		text += "never forgotten"
	case f.names != nil:
		text += "forgotten by its name"
	case f.anew != nil:
		text += "edited"
	default:
		text += "searched"
	}
	if k.forget.medium != "" {
		text += " of " + string(k.forget.medium)
	}
	return text
}
