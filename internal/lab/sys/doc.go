// SPDX-License-Identifier: Apache-2.0

// Package sys is what the peers of tests need of the operating system: a lock between
// installations, and children that do not outlive us.
package sys
