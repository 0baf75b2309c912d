// SPDX-License-Identifier: Apache-2.0

// Package badgerstore keeps the state of the service in an embedded Badger
// database: nothing to install, one directory, entries that expire.
//
// Three properties of Badger shape it.
//
//   - Badger syncs its log once per transaction, whoever else is waiting. So
//     the functions of concurrent updates run one after the other against what
//     will be committed next, and one goroutine commits what has gathered as a
//     single synced transaction. An update is answered when its transaction is
//     on disk. As there is only one writer, transactions never conflict.
//   - Its TTL is in whole seconds of the real clock. Every value is preceded by
//     its exact expiry, which decides what a reader sees; Badger's TTL, always a
//     little later, only frees the space.
//   - It rewrites a table only when newer data pushes down on it, so an idle
//     database never shrinks. The janitor pushes, see [Store.Compact].
//
// Badger's errors may contain keys; none of them leaves this package as it is.
package badgerstore
