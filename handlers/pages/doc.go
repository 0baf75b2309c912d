// SPDX-License-Identifier: Apache-2.0

// Package pages renders what a person sees: the page behind the link of a
// mail, the one that the code of a message is typed into, and what became of
// either.
//
// There is no script, and nothing is loaded from anywhere: the style and the
// logo are in the page, and its Content-Security-Policy allows the one by its
// digest and the other as data. Nothing that a client has sent is repeated,
// but for the hidden fields of a form, which are escaped.
//
// Where the message went to a phone ([View.Phone]), words that begin with "sms "
// take the place of those that would speak of mail. The field for a code takes
// what is pasted, with the spaces of a message in it, and lets phones offer the
// code that they have just received (HTML, autocomplete "one-time-code").
//
// A page is a [State] in somebody's language ([Words]) and in the colours of a
// brand ([Look]). Colours are refused where their contrast is too low to be
// read (WCAG 2.2, 1.4.3), so that no brand can make the pages worse than they
// are as they come.
//
// # Who pressed the button
//
// Programs that check mail follow its links, and some submit the form they
// find there. [PressCheck] tells them from a person as far as that can be told:
//
//   - GET and HEAD change nothing.
//   - The form carries a nonce that belongs to this session and this token, and
//     ends after an hour. It is a MAC, so every node accepts it, and a page may
//     be reloaded.
//   - A browser that says where a request comes from (Fetch Metadata) must say
//     that it is a navigation from this page.
//   - Nobody reads a page in less than [MinRead]. This is asked of what gives
//     itself out as a browser and does not tell of a person's gesture
//     (Sec-Fetch-User).
//   - A browser of a kind that sends Fetch Metadata must send it.
//
// A press that fails is not taken for a confirmation. The answer is a page that
// asks for the code of the mail, which mails with a link have beside it: what
// follows links does not type. Refusing has no code, only a second press, which
// is spared the last rule, because there are proxies that remove headers. A
// browser that never sends Fetch Metadata, old or for text only, is subject to
// the nonce and the time alone. So nobody is locked out for good. A program that waits like a person and looks like an old
// browser is not recognized: where that matters, let the mails carry codes.
package pages
