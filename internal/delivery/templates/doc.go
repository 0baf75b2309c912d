// SPDX-License-Identifier: Apache-2.0

// Package templates holds the words of the messages and renders them.
//
// Nothing that a client has sent gets into a message, except the address it
// goes to: no name, no link, no text. A mail that a stranger can word is a
// mail for phishing.
package templates
