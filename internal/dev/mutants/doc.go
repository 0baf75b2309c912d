// SPDX-License-Identifier: Apache-2.0

// Command mutants plants faults into packages, one at a time, and counts how many
// of them the package's own tests notice. It tells how much of the code the tests
// hold, and where they do not.
//
// The faults are a sample, drawn by a seed. The sources on disk stay as they are: a
// planted file is shown to the compiler alone (go build's -overlay).
//
// Not every fault that goes unnoticed is a gap: a mutant may mean the same as the
// original. The survivors are printed for somebody to look at.
package main
