// SPDX-License-Identifier: Apache-2.0

// Package chaos makes the world around the real program go wrong: connections
// that crawl, break and lie, a disk that fills up, and somebody who earns by messages. Whatever happens, the
// program goes on, tells the truth, and loses and invents no session.
package chaos
