// SPDX-License-Identifier: Apache-2.0

// Package dendrite puts the module in front of an unmodified Dendrite, whose
// JSON is read by Go: it shows that nothing that this reader finds, and ours
// does not, reaches it, and that nobody deletes another user's address.
package dendrite
