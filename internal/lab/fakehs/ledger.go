// SPDX-License-Identifier: Apache-2.0

package fakehs

import "slices"

// ChangeKind is what was done to an account.
type ChangeKind string

// The changes that somebody must have a right to.
const (
	PasswordSet  ChangeKind = "password set"
	AddressSet   ChangeKind = "address set" // From is who had it before, if anybody
	AddressGone  ChangeKind = "address gone"
	Registered   ChangeKind = "registered"
	Deactivated  ChangeKind = "deactivated"
	DeviceGone   ChangeKind = "device gone"
	KeysReplaced ChangeKind = "keys replaced"
	TokenIssued  ChangeKind = "log-in allowed"
)

// Change is one thing that was done to an account, whoever asked for it and
// whatever the answer said.
type Change struct {
	Kind            ChangeKind
	User            string
	Medium, Address string
	From            string
}

// Changes is the ledger: everything that was done to accounts, in order. What a
// test set up itself is in it, except for accounts made by [Server.AddUser].
func (s *Server) Changes() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ledger)
}

// SessionNames are the names of all sessions of interactive authentication that
// there ever were, forgotten ones included.
func (s *Server) SessionNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.names)
}

// note writes into the ledger. The caller holds s.mu.
func (s *Server) note(c Change) { s.ledger = append(s.ledger, c) }

// noted is note for a caller that does not hold s.mu.
func (s *Server) noted(c Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(c)
}
