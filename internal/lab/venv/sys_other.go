// SPDX-License-Identifier: Apache-2.0

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package venv

// signalGroup does nothing here.
func signalGroup(int, bool) {}
