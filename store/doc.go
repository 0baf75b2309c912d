// SPDX-License-Identifier: Apache-2.0

// Package store is the contract between the verification domain and the place
// where its state lives: a small, transactional key-value store whose entries
// expire.
//
// It knows nothing of sessions, tokens or mail. Values are opaque (and, by the
// time they arrive here, sealed); keys never contain an address, a token or a
// secret in clear.
//
// The contract is sharded so that it also fits a Redis Cluster: every key
// belongs to a [Partition], and [Store.Update] is atomic over the keys of one
// partition only. In Badger a partition is a key prefix; in Redis it is a hash
// tag, so that all its keys share one slot.
//
// Every implementation passes the conformance suite in store/storetest.
package store
