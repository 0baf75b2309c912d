// SPDX-License-Identifier: Apache-2.0

// Package journal is a store that has all entries in memory and appends every change to a
// file, which it reads when it is opened. It shows the contract of package store, and is
// for a server with few users: the file grows until the next start.
package journal
