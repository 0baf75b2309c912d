// SPDX-License-Identifier: Apache-2.0

package verification

import "github.com/caddy-threepid/caddy-threepid/store"

// SessionEntry reports whether an entry is part of a session: the session, what
// leads to it, its messages, and what waits to become one. A backup knows nothing
// of what was used up after it was made, so that a restored session could be used
// a second time. Without its record, a sid of ours is one that has ended.
func SessionEntry(p store.Partition, key string) bool {
	if _, ours := partitionOf(string(p)); !ours || len(p) != partitionSize {
		return false
	}
	switch kindOf(key) + "/" {
	case kindSession, kindIndex, kindNonce, kindAlias, kindState, kindReply, kindMessage, kindProgress, kindTie, kindOpen:
		return true
	}
	return false
}
