// SPDX-License-Identifier: Apache-2.0

// Package bindings is what binds addresses at the identity servers that users choose
// (MSC2290), and what ends that: unbinding, deleting an address, deactivating an account.
// No identity server has a say in who owns an account.
package bindings
