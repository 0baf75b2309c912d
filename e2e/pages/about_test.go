// SPDX-License-Identifier: Apache-2.0

package pages

import web "github.com/caddy-threepid/caddy-threepid/handlers/pages"

// about says when a reader gets to see a page.
var about = map[web.State]string{
	web.Confirm: "Behind the link of a mail. Looking at it changes nothing; the button confirms.",
	web.Code:    "Where the mail has a code in place of a link. Whoever has not typed the code is not told the address.",
	web.Wrong:   "The code was not right. After five wrong ones the request is over.",
	web.Again:   "The press looked like that of a program which checks mail. Nothing has happened yet; the mail has a code beside its link for this.",
	web.Done:    "The address is confirmed.",
	web.Already: "The link was opened or the button pressed again: nothing to worry about.",
	web.Expired: "The link or the request is too old.",
	web.Revoked: "The request was refused by its reader, or had too many wrong codes.",
	web.Invalid: "The link is cut, mistyped, or from somewhere else.",
	web.Failed:  "The fault is ours.",
	web.Busy:    "We are being restarted, the store is away, or a limit was reached: it passes, and the page says when.",
	web.Refuse:  "Behind \"I did not ask for this\". Looking at it changes nothing, either.",
	web.Insist:  "The same doubt about that press. Refusing asks for no code: it gives nobody anything.",
	web.Refused: "The request is over, and what was waiting to be sent is not sent.",
	web.Help:    "Why no message has arrived: what became of it, for those who know the request, and advice for all.",
}
