// SPDX-License-Identifier: Apache-2.0

// Package words holds the words of mails, short messages and pages, in
// several languages and looks, and renders the messages.
//
// Nothing that a client has sent gets into a message: no name, no link, no
// text, and not the address either. A mail that a stranger can word is a mail
// for phishing, sent from the operator's domain.
//
// # Files
//
// Words and layout are apart. A language is one file of words, de/words.txt; a
// look is a layout for text and one for HTML, layout/mail.txt and
// layout/mail.html, and its colours, layout/look.txt. An operator's folder may
// have any of them, and the same for each brand:
//
//	<language>/words.txt
//	layout/mail.txt, layout/mail.html, layout/look.txt
//	brands/<brand>/<language>/words.txt
//	brands/<brand>/layout/...
//
// What is not there is taken from the next place: the brand's, the operator's,
// ours. Of words and colours that goes for each text: a file has only what is
// to be different. A language is named as BCP 47 does; that of a region, pt-PT,
// has only what is not as in pt; a new one needs all texts.
//
// # Words
//
// Files of words, and look.txt, have the syntax of text/template, but only
// this much of it:
//
//	{{define "password subject"}}Reset your password on {{.Server}}{{end}}
//	{{- /* a comment */ -}}
//
// "name", "dir" (ltr or rtl) and "reviewed" (yes or no: whether a native speaker
// has read it all) are about the language. The texts of mails begin with
// register, password or add, the purpose: subject, title, asked (for which
// server) and effect; "register notice subject", title and effect stand in for
// those where there is no proof, because the homeserver has refused the
// address; or with link or code, the proof; or with refuse. They may
// name {{.Server}}, and "link until" and "code until" also {{.Life}}, how long
// the proof works, and {{.Until}}. "link check" names {{.Code}}, which the
// page behind the link asks for where a program may have pressed its button. "code
// page" is for those whose app has no field for a code: a link follows it.
// "life minutes few" and so on are the plural
// forms that CLDR has for the language, which may name the number, {{.N}}.
//
// Those that begin with changed tell of a change of an account: "changed password
// subject" and what, and the same for added, new, removed and gone (the account
// has got another address, this one, has lost another, this one); and for all of
// them "changed act", what to do if it was somebody else, and "changed ignore".
// They, and "page request made" and so on, "page next", "page client", "page refuse
// everybody" and "code page" came later, and are optional in a language of the
// operator's own: the mail or the text is in English then, the line or the
// box left out.
//
// "register sms", "password sms" and "add sms" are short messages, which name
// {{.Server}} and {{.Code}}. A network carries 160 characters of its own
// alphabet at the price of one message (3GPP TS 23.038), but as soon as one
// character is not in it, 70. Therefore ours do without such characters where
// the language allows it, say what the code does before anything else, and fit
// one message if the name of the server has at most 20 characters. What they
// cost with another name, [Set.SMSCosts] tells; more than three are refused.
// "register notice sms" and so on have no code, and must not cost more.
//
// The texts of pages begin with page, and may name {{.Server}}; "page address"
// names {{.Address}}. [PageKeys] returns them:
//
//	confirm register title, confirm register what, and the same for password and add:
//	    confirm password title, confirm password what, confirm add title, confirm add what
//	confirm button, confirm ignore, address
//	code label, code hint, code wrong, code again (where a press may have been a program's)
//	again title, again what (one more press is asked for before a request is ended)
//	done title, done what, already title, already what, next button (leads to the client's next_link)
//	expired title, expired what, revoked title, revoked what, invalid title, invalid what
//	error title, error what
//	busy title, busy what ({{.Life}}: how long to wait; both came later, and are optional)
//	request made, request app, request network (a line each: {{.Made}}, {{.App}}, {{.Network}}),
//	    request other (another one is open); mails have the same
//	refuse title, refuse what, refuse everybody (beside a box to tick), refuse button, refuse keep
//	refused title, refused what
//	help link, help title, help spam, help typo, help wait, help again, help admin
//	delivery waiting, delivery delayed, delivery sent, delivery bounced (refused by the
//	    reader's provider), delivery address (it says there is no such address),
//	    delivery failed, delivery suspended, delivery none (nothing is known)
//
//	client limit, client busy (these name {{.Life}}, the wait), client email, client number,
//	    client denied, client barred, client closed, client begin, client unsupported,
//	    client setup, client unconfirmed, client password: clients show them, as the text of an error
//
// Where the message went to a phone, these are said instead; "sms help signal"
// takes the place of "help spam":
//
//	sms address, sms confirm add title, sms confirm add what, sms code again,
//	sms again what, sms invalid title, sms invalid what, sms refuse what, sms refuse everybody,
//	sms refused what
//	sms help link, sms help title, sms help signal, sms help typo, sms help wait
//	sms delivery waiting, sms delivery delayed, sms delivery sent (the network has it),
//	    sms delivery arrived (the phone has it), sms delivery bounced (the network gave up),
//	    sms delivery address (there is no such number), sms delivery failed,
//	    sms delivery suspended, sms delivery none
//
// # Layouts
//
// Layouts are templates of text/template and html/template without loops,
// comparisons and functions, except wrap, which breaks a text into lines. They
// can name Lang, Dir, RTL, Server, Logo, Subject, Link or Code, Refuse, the
// words Title, Asked, Effect, Do, Button, Copy, Check, Keep, Until, Ignore, RefuseDo
// and RefuseButton, when and where the request was made, Made, App and Network, and
// Another, that one more is open, each of which may be empty; and the colours of [Look] as Look.Light.Accent.
//
// Which way a layout goes therefore depends on nothing but which values are
// there, so that [Load], which renders each mail once, sees all that it can do.
// It refuses one that lacks what a reader needs, or has what a mail must not
// have: a script, a form, something that is loaded from elsewhere.
//
// # Directions
//
// In languages that are written from right to left, names of hosts and times
// are isolated: with <bdi dir="ltr"> in HTML, and in text with U+2066 and
// U+2069. Links and codes in text stand alone on a line, and have no invisible
// characters around them, because those would be copied. In a short message,
// where each is paid for, a name is isolated only if it would be shown out of
// order without: an ordinary one between words of the language is not.
package words
