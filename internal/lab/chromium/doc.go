// SPDX-License-Identifier: Apache-2.0

// Package chromium installs and drives the real Chromium without a window, so
// that tests see what a reader sees: pages in light and dark, on a phone, from
// right to left, with JavaScript off, by mouse and by keyboard.
//
// [Install] finds a Chromium on this machine, or gets Debian's: with apt-get
// where it may, and otherwise its packages with what they depend on, unpacked
// into the user's cache directory. Where neither can be had the error is
// [ErrUnavailable]. [Start] runs it. It is spoken to over two pipes
// (--remote-debugging-pipe): no port is open, nothing else on the machine can
// join in, and the browser ends when the process that started it does.
//
// [Axe] gets axe-core, which checks a page for accessibility, from npm's
// registry: one file, at a pinned version with a pinned digest.
package chromium
