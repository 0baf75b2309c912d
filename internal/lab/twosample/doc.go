// SPDX-License-Identifier: Apache-2.0

// Package twosample compares two samples of one measurement, without any
// assumption about how it is distributed. Tests use it to show that two kinds of
// requests cannot be told apart by the time that they take.
package twosample
