// SPDX-License-Identifier: Apache-2.0

//go:build race

package templates

// raceDetector says that everything takes many times as long.
const raceDetector = true
