// SPDX-License-Identifier: Apache-2.0

// Package archtest holds the tree to its architecture: which package may
// import which, and the parts of the house style that a program can measure.
//
// Its tests read the whole module. They exist because a rule that is only
// written down is broken within the month, and because the linter's import
// rules see what a file imports but not what that import drags in.
package archtest
