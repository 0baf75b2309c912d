// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// user is one account. A nil password means that nobody can log in with one.
type user struct {
	id          string
	password    []byte
	deactivated bool
}

// threepid is one row of the table that maps (medium, address) to an account.
type threepid struct {
	medium, address, userID string
	validatedAt             any
	addedAt                 int64
}

// binding is the memory that an address was bound at an identity server.
type binding struct {
	userID, medium, address, idServer string
}

// hashPassword keeps clear passwords out of memory dumps and test output; the cost
// of a real password hash would buy a double nothing.
func (s *Server) hashPassword(password string) []byte {
	mac := hmac.New(sha256.New, s.pepper)
	mac.Write([]byte(password))
	return mac.Sum(nil)
}

// userID is the full ID of a localpart.
func (s *Server) userID(localpart string) string {
	return "@" + localpart + ":" + s.opts.ServerName
}

// findUser looks an account up by full ID, in any case. The caller holds s.mu.
func (s *Server) findUser(id string) *user {
	localpart, domain, ok := strings.Cut(strings.TrimPrefix(id, "@"), ":")
	if !ok || !strings.EqualFold(domain, s.opts.ServerName) {
		return nil
	}
	return s.users[strings.ToLower(localpart)]
}

// ownerOf finds who owns an address, compared exactly as it is given. That is the
// trap: what is stored is in lower case. The caller holds s.mu.
func (s *Server) ownerOf(medium, address string) string {
	for _, t := range s.threepids {
		if t.medium == medium && t.address == address {
			return t.userID
		}
	}
	return ""
}

// lookupOwner is ownerOf for a value from a request, whatever its type.
func (s *Server) lookupOwner(medium, address any) (string, error) {
	if !hashable(medium) || !hashable(address) {
		return "", errWrongType
	}
	m, ok := scalarText(medium)
	a, ok2 := scalarText(address)
	if !ok || !ok2 {
		return "", nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ownerOf(m, a), nil
}

// addThreepid stores an address in lower case for an account. It is an upsert: an
// address that belongs to another account moves, and nobody is asked.
func (s *Server) addThreepid(userID string, medium, address, validatedAt any) error {
	m, ok := medium.(string)
	a, ok2 := address.(string)
	if !ok || !ok2 {
		return errWrongType
	}
	if m == "email" {
		a = lowered(a)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	row := threepid{m, a, userID, validatedAt, time.Now().UnixMilli()}
	s.note(Change{Kind: AddressSet, User: userID, Medium: m, Address: a, From: s.ownerOf(m, a)})
	for i, t := range s.threepids {
		if t.medium == m && t.address == a {
			s.threepids[i] = row
			return nil
		}
	}
	s.threepids = append(s.threepids, row)
	return nil
}

// deleteThreepid forgets an address of an account.
func (s *Server) deleteThreepid(userID, medium, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := len(s.threepids)
	s.threepids = slices.DeleteFunc(s.threepids, func(t threepid) bool {
		return t.userID == userID && t.medium == medium && t.address == address
	})
	if len(s.threepids) < kept {
		s.note(Change{Kind: AddressGone, User: userID, Medium: medium, Address: address, From: userID})
	}
}

// threepidsOf lists the addresses of an account.
func (s *Server) threepidsOf(userID string) []threepid {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []threepid
	for _, t := range s.threepids {
		if t.userID == userID {
			out = append(out, t)
		}
	}
	return out
}

// allowedEmail applies allowed_local_3pids to the address as sent.
func (s *Server) allowedEmail(address any) (bool, error) {
	if len(s.allowed) == 0 {
		return true, nil
	}
	a, ok := address.(string)
	if !ok {
		return false, errWrongType
	}
	for _, re := range s.allowed {
		if re.MatchString(a) {
			return true, nil
		}
	}
	return false, nil
}

// allowedThreepid is allowedEmail for an address of either medium; a list of email
// patterns allows no phone number.
func (s *Server) allowedThreepid(medium, address any) (bool, error) {
	if len(s.allowed) > 0 && medium != "email" {
		return false, nil
	}
	return s.allowedEmail(address)
}

// setPassword replaces a password and logs out everything but the device token
// that asked for it, if one did.
func (s *Server) setPassword(userID string, password any, by *device) error {
	p, ok := password.(string)
	if !ok {
		return errWrongType
	}
	s.mu.Lock()
	u := s.findUser(userID)
	if u != nil {
		u.password = s.hashPassword(p)
		s.note(Change{Kind: PasswordSet, User: u.id})
	}
	s.mu.Unlock()
	if u == nil {
		return fail(http.StatusNotFound, "M_NOT_FOUND", "Unknown user")
	}
	s.logOut(userID, func(d device) bool { return by == nil || d.token != by.token })
	return nil
}

// createUser makes an account, under the next free number when no name was wanted.
func (s *Server) createUser(localpart, password string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for localpart == "" {
		n := strconv.Itoa(s.nextUserID)
		s.nextUserID++
		if s.users[n] == nil {
			localpart = n
		}
	}
	if s.users[strings.ToLower(localpart)] != nil {
		return "", errUserInUse()
	}
	u := &user{id: s.userID(localpart)}
	if password != "" {
		u.password = s.hashPassword(password)
	}
	s.users[strings.ToLower(localpart)] = u
	s.note(Change{Kind: Registered, User: u.id})
	return u.id, nil
}
