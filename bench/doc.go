// SPDX-License-Identifier: Apache-2.0

// Command bench measures what the module costs, against a plain Caddy of the
// same build in the same run, and writes the figures to bench/RESULTS.md.
//
// Everything runs on this machine: the load generator and the upstream in this
// process, each Caddy in one of its own. Machines are shared and noisy, so
// figures are medians, and what is compared is measured in pairs, one right
// after the other.
package main
