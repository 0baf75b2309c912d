// SPDX-License-Identifier: Apache-2.0

// Package pages looks at the pages with the eyes of their readers: the real
// Chromium in light and dark, on a phone, from right to left, in a narrow
// window and with large letters, with JavaScript off, by mouse and by keyboard.
// axe-core checks each of them against WCAG 2.2, levels A and AA.
//
// The screenshots are in docs/pages. They are rewritten by the tests with
// -update; otherwise the tests compare the pages with those that were pictured,
// by their digests in docs/pages/pages.sum, because no two machines draw the
// same pixels.
package pages
