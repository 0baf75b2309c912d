// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the end-to-end tests: the real program in front of an
// unmodified Synapse 1.3.1 from PyPI, with real mail over SMTP.
package e2e
