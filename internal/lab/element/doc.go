// SPDX-License-Identifier: Apache-2.0

// Package element is a double of Element Web: what it makes of addresses and of
// answers, as far as that decides what a person sees next. It is written after
// matrix-react-sdk 3.9.0, 3.58.1 and 3.85.0 (Element Web 1.7.14, 1.11.10 and about
// 1.11.50) and the url_utils of Element Web, and says where they differ. Tests hold
// our answers against it; docs/clients.md has the table.
package element
