// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// patience with a relay that falls silent is short on a machine that is quick.
const patience = 10 * time.Millisecond

// behaviour is one way in which a relay behaves, and what must come of a mail.
type behaviour struct {
	name   string
	script smtptest.Script
	copies int           // that the relay has taken in the end
	ends   string        // the last outcome; empty for any
	open   bool          // the standard does not say whether the mail was taken
	limit  time.Duration // of each wait for a relay that falls silent
}

// at is a script for one stage.
func at(stage, says string) smtptest.Script {
	return smtptest.Script{Says: map[string]string{stage: says}}
}

// once is that for the first time only.
func once(stage, says string) smtptest.Script {
	s := at(stage, says)
	s.Times = 1
	return s
}

// kept is a relay that takes every mail, whatever it says then.
func kept(s smtptest.Script) smtptest.Script {
	s.Takes = true
	return s
}

// spelled is a legal spelling: RFC 5321 §4.2 and its grammar, read leniently.
func spelled(name, stage, says string) behaviour {
	return behaviour{name: name, script: at(stage, says), copies: 1, ends: Sent}
}

// legal are the relays with which nothing is wrong.
var legal = []behaviour{
	spelled("nothing special", "", ""),
	spelled("greeting without text", "CONNECT", "220\r\n"),
	spelled("greeting with a blank", "CONNECT", "220 \r\n"),
	spelled("greeting of three lines", "CONNECT", "220-double.test\r\n220-no spam\r\n220 go on\r\n"),
	spelled("greeting ends with a bare code", "CONNECT", "220-double.test\r\n220\r\n"),
	spelled("greeting in pieces", "CONNECT", "220-dou"+smtptest.Apart+"ble.test\r\n22"+smtptest.Apart+"0 go on\r"+smtptest.Apart+"\n"),
	spelled("greeting by another 2yz", "CONNECT", "250 double.test\r\n"),
	spelled("EHLO without text", "EHLO", "250\r\n"),
	spelled("EHLO ends with a bare code", "EHLO", "250-double.test\r\n250-8BITMIME\r\n250\r\n"),
	spelled("keywords in small letters", "EHLO", "250-double.test\r\n250-8bitmime\r\n250 size 1000000\r\n"),
	spelled("keywords in mixed letters", "EHLO", "250-double.test\r\n250-8bitMIME\r\n250 Size\r\n"),
	spelled("many blanks before a parameter", "EHLO", "250-double.test\r\n250-SIZE   1000000  \r\n250 8BITMIME \r\n"),
	spelled("AUTH as the draft had it", "EHLO", "250-double.test\r\n250-AUTH=LOGIN PLAIN\r\n250 AUTH LOGIN\r\n"),
	spelled("extensions nobody knows", "EHLO", "250-double.test\r\n250-XFOO a=b;c\r\n250-8\r\n250 X-9 \xff\r\n"),
	spelled("an empty extension", "EHLO", "250-double.test\r\n250- \r\n250-\r\n250 SIZE\r\n"),
	spelled("forty extensions", "EHLO", "250-double.test\r\n"+strings.Repeat("250-XMANY\r\n", 40)+"250 SIZE\r\n"),
	spelled("an extension of 3000 octets", "EHLO", "250-double.test\r\n250-X"+strings.Repeat("x", 3000)+"\r\n250 SIZE\r\n"),
	spelled("EHLO is 500", "EHLO", "500 what?\r\n"),
	spelled("EHLO is 502", "EHLO", "502\r\n"),
	spelled("EHLO is 504", "EHLO", "504 not here\r\n"),
	spelled("MAIL without text", "MAIL", "250\r\n"),
	spelled("MAIL of two lines", "MAIL", "250-fine\r\n250 ok\r\n"),
	spelled("MAIL by another 2yz", "MAIL", "259 ok\r\n"),
	spelled("RCPT without text", "RCPT", "250\r\n"),
	spelled("RCPT will be forwarded", "RCPT", "251 elsewhere\r\n"),
	spelled("RCPT cannot be verified", "RCPT", "252 maybe\r\n"),
	spelled("RCPT by another 2yz", "RCPT", "239 ok\r\n"),
	spelled("DATA without text", "DATA", "354\r\n"),
	spelled("DATA of two lines", "DATA", "354-end with\r\n354 a dot\r\n"),
	spelled("DATA by another 3yz", "DATA", "350 go\r\n"),
	spelled("dot without text", "DOT", "250\r\n"),
	spelled("dot with a blank", "DOT", "250 \r\n"),
	spelled("dot with a code only", "DOT", "250 2.0.0\r\n"),
	spelled("dot of three lines", "DOT", "250-2.0.0 kept\r\n250-2.0.0 as 7\r\n250 2.0.0 bye\r\n"),
	spelled("dot ends with a bare code", "DOT", "250-kept\r\n250\r\n"),
	spelled("dot is 200", "DOT", "200 ok\r\n"),
	spelled("dot is 251", "DOT", "251 forwarded\r\n"),
	spelled("dot is 299", "DOT", "299\r\n"),
	spelled("dot in UTF-8", "DOT", "250 übernommen 好\r\n"),
	spelled("dot in Latin-1", "DOT", "250 \xfcbernommen\r\n"),
	spelled("dot with control characters", "DOT", "250 \x07\x1b[31mkept\x00\r\n"),
	spelled("dot of 3000 octets", "DOT", "250 "+strings.Repeat("x", 3000)+"\r\n"),
	spelled("dot of sixty lines", "DOT", strings.Repeat("250-kept\r\n", 60)+"250 ok\r\n"),
	spelled("dot ends with LF", "DOT", "250 kept\n"),
	spelled("dot of two lines with LF", "DOT", "250-kept\n250\n"),
	spelled("dot with a tab", "DOT", "250\tkept\r\n"),
	spelled("dot as RFC 959 has it", "DOT", "250-kept\r\n as 7\r\nfor now\r\n250 ok\r\n"),
	spelled("dot after an empty line", "BODY", "\r\n"),
	spelled("dot is slow", "DOT", "2"+smtptest.Hold+"50 kept\r\n"),
	spelled("dot is slow in the middle", "DOT", "250-kept\r\n"+smtptest.Hold+"250 ok\r\n"),
	spelled("gone after the dot", "DOT", "250 kept\r\n"+smtptest.Drop),
	spelled("gone at QUIT", "QUIT", smtptest.Drop),
	spelled("QUIT without text", "QUIT", "221\r\n"+smtptest.Drop),
	spelled("QUIT is 500", "QUIT", "500 what?\r\n"),
}

// refusing relays say no for good: nothing is tried again.
var refusing = []behaviour{
	{name: "RCPT is 550", script: at("RCPT", "550 5.1.1 nobody\r\n"), ends: Failed},
	{name: "RCPT is a bare 550", script: at("RCPT", "550\r\n"), ends: Failed},
	{name: "RCPT is 550 in three lines", script: at("RCPT", "550-nobody\r\n550-of that name\r\n550\r\n"), ends: Failed},
	{name: "DATA is 554", script: at("DATA", "554 no\r\n"), ends: Failed},
	{name: "dot is 554", script: at("DOT", "554 5.6.0 no\r\n"), ends: Failed},
	{name: "dot is a bare 554", script: at("DOT", "554\r\n"), ends: Failed},
	{name: "dot is 552 in lines", script: at("DOT", "552-too\r\n552 big\r\n"), ends: Failed},
	{name: "dot is 599", script: at("DOT", "599 whatever\r\n"), ends: Failed},
}

// passing faults are over with the next try. One that comes before the dot
// leaves nothing open.
func passing(name, stage, says string) behaviour {
	return behaviour{name: name + ", once", script: once(stage, says), copies: 1, ends: Sent}
}

var passingFaults = []behaviour{
	passing("connection is refused by 421", "CONNECT", "421 busy\r\n"+smtptest.Drop),
	passing("connection is refused by a bare 421", "CONNECT", "421\r\n"+smtptest.Drop),
	passing("connection ends", "CONNECT", smtptest.Drop),
	passing("connection is reset", "CONNECT", smtptest.Cut),
	passing("greeting breaks off", "CONNECT", "220-dou"+smtptest.Drop),
	passing("greeting is another protocol's", "CONNECT", "HTTP/1.1 400 Bad Request\r\n\r\n"+smtptest.Drop),
	passing("greeting is a TLS alert", "CONNECT", "\x15\x03\x03\x00\x02\x02\x28"+smtptest.Drop),
	passing("greeting has two codes", "CONNECT", "220-double.test\r\n421 bye\r\n"+smtptest.Drop),
	passing("greeting without end", "CONNECT", strings.Repeat("220-hi\r\n", 20000)+smtptest.Drop),
	passing("EHLO is 421", "EHLO", "421 bye\r\n"+smtptest.Drop),
	passing("gone at EHLO", "EHLO", smtptest.Drop),
	passing("MAIL is 451", "MAIL", "451 4.3.0 later\r\n"),
	passing("MAIL is a bare 421", "MAIL", "421\r\n"+smtptest.Drop),
	passing("gone at MAIL", "MAIL", smtptest.Drop),
	passing("MAIL is 550", "MAIL", "550 not you\r\n"),
	passing("RCPT is greylisted", "RCPT", "450 4.2.0 later\r\n"),
	passing("RCPT is a bare 450", "RCPT", "450\r\n"),
	passing("RCPT is 421", "RCPT", "421 bye\r\n"+smtptest.Drop),
	passing("RCPT is garbled", "RCPT", "OK\r\n"+smtptest.Drop),
	passing("reset at RCPT", "RCPT", smtptest.Cut),
	passing("DATA is 451", "DATA", "451 later\r\n"),
	passing("DATA is 421", "DATA", "421 bye\r\n"+smtptest.Drop),
	passing("DATA is 250", "DATA", "250 ok\r\n"+smtptest.Drop),
	passing("gone at DATA", "DATA", smtptest.Drop),
	passing("dot is 451", "DOT", "451 4.3.0 later\r\n"),
	passing("dot is a bare 451", "DOT", "451\r\n"),
	passing("dot is 421", "DOT", "421 bye\r\n"+smtptest.Drop),
	passing("dot is 452 in lines", "DOT", "452-no\r\n452 room\r\n"),
}

// doubtful ends leave open whether the mail was taken: it was not, or it was.
func doubtful(name, stage, says string) []behaviour {
	never := behaviour{name: name + ", never taken", script: at(stage, says), ends: Uncertain, open: true}
	first := behaviour{name: name + ", once", script: once(stage, says), copies: 1, ends: Sent, open: true}
	all := []behaviour{never, first}
	for i := range all {
		all[i].script.Loses = true
	}
	if stage == "DOT" {
		all = append(all,
			behaviour{name: name + ", always taken", script: kept(at(stage, says)), copies: 2, ends: Uncertain, open: true},
			behaviour{name: name + ", taken once", script: kept(once(stage, says)), copies: 2, ends: Sent, open: true})
	}
	for i := range all {
		if strings.Contains(says, smtptest.Silence) {
			all[i].limit = patience
		}
	}
	return all
}

// falls is a relay that says nothing more at a stage.
func falls(stage string) []behaviour {
	says := smtptest.Silence
	return []behaviour{
		{name: "silent at " + stage, script: at(stage, says), ends: Expired, limit: patience},
		{name: "silent at " + stage + ", once", script: once(stage, says), copies: 1, ends: Sent, limit: patience},
	}
}

func behaviours() []behaviour {
	all := append(append(append([]behaviour{}, legal...), refusing...), passingFaults...)
	for _, stage := range []string{"CONNECT", "EHLO", "MAIL", "RCPT", "DATA"} {
		all = append(all, falls(stage)...)
	}
	all = append(all, doubtful("silent in the text", "BODY", smtptest.Silence)...)
	all = append(all, // whether all could be written before it was gone is chance
		behaviour{name: "gone in the text", script: at("BODY", smtptest.Drop)},
		behaviour{name: "reset in the text, once", script: once("BODY", smtptest.Cut), copies: 1, ends: Sent})
	for name, says := range map[string]string{
		"silent after the dot": smtptest.Silence, "silent in the reply": "250-kept\r\n" + smtptest.Silence,
		"gone after the dot": smtptest.Drop, "reset after the dot": smtptest.Cut, "reply breaks off": "25" + smtptest.Drop,
		"dot is 354": "354 go ahead\r\n", "dot is 150": "150 wait\r\n" + smtptest.Drop, "dot is 650": "650 what\r\n" + smtptest.Drop,
		"dot is no code": "kept\r\n" + smtptest.Drop, "dot has two codes": "250-kept\r\n550 not\r\n", "dot of four digits": "2500 ok\r\n" + smtptest.Drop,
		"dot without end": strings.Repeat("250-kept\r\n", 20000) + smtptest.Drop,
	} {
		all = append(all, doubtful(name, "DOT", says)...)
	}
	return all
}
