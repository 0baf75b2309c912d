// SPDX-License-Identifier: Apache-2.0

// Package templates holds the words of the messages and renders them.
//
// Nothing that a client has sent gets into a message: no name, no link, no
// text, and not the address either. A mail that a stranger can word is a mail
// for phishing, sent from the operator's domain.
//
// Words and layout are apart. A language is one file of words, en/words.txt;
// a look is one layout for text and one for HTML. Both are read through an
// fs.FS, so that more languages and an operator's own look need no other code.
package templates
