// SPDX-License-Identifier: Apache-2.0

package ratelimit

// Class says how sure it is that a message is wanted. The budget of messages is one,
// and each class leaves a part of it to those above: what they do not use it may
// borrow, and it never starves them. It is a label of metrics, so the set is closed.
type Class uint8

// The classes, the first one first.
const (
	// Owner: a reset that the homeserver grants or that is for an address proven here,
	// or an address that is added by somebody who is logged in.
	Owner Class = iota
	// Begun: a registration whose earlier stages are complete.
	Begun
	// Newcomer: any other.
	Newcomer
	// Explained: an address that is refused is told so.
	Explained
)

// Classes are all of them.
var Classes = []Class{Owner, Begun, Newcomer, Explained}

// String is the class's name.
func (c Class) String() string {
	return [...]string{"owner", "begun", "newcomer", "explained"}[c]
}

// Kept is how much of the budget a class leaves to those above it, in percent.
func (c Class) Kept() int { return [...]int{0, 25, 50, 75}[c] }
