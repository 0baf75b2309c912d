// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/textproto"
	"slices"
	"strings"
)

// The bounds of one reply, in bytes. textproto knows none, and go-smtp gives up
// on a line of more than 2000.
const (
	maxReply     = 64 << 10
	maxReplyLine = 1000
)

// replies reads what a relay says in every spelling that RFC 5321 §4.2 allows,
// and hands it on in the one that net/textproto and go-smtp understand. They
// wait for more where a code stands alone, want codes to the last digit, and
// keywords of extensions in capitals. It also sees when a mail is handed over.
type replies struct {
	net.Conn
	in      *bufio.Reader
	ready   []byte   // of a reply that was read, and not yet taken
	awaited await    // what the next reply is to
	secrets []string // what was said for a log-in
	tail    []byte   // the last bytes of a mail's text
	handed  func()   // called once the final dot is written; or nil
}

// await is what was said last.
type await uint8

const (
	toCommand await = iota // MAIL, RCPT, RSET, NOOP
	toConnect
	toHello
	toLogin
	toData
	toText // the text of a mail is being written, or was
	toStart
	toQuit
)

func newReplies(c net.Conn) *replies {
	return &replies{Conn: c, in: bufio.NewReader(c), awaited: toConnect}
}

// usual are the codes that the libraries wait for, by the first digit. RFC 5321
// §4.3.2 has a client go by that digit.
var usual = map[await]map[byte]string{
	toConnect: {'2': "220"}, toStart: {'2': "220"}, toQuit: {'2': "221"}, toData: {'3': "354"},
	toHello: {'2': "250"}, toCommand: {'2': "250"}, toText: {'2': "250"}, toLogin: {'2': "235", '3': "334"},
}

// verbs are the commands; any other is [toCommand].
var verbs = map[string]await{"EHLO": toHello, "HELO": toHello, "AUTH": toLogin, "DATA": toData, "STARTTLS": toStart, "QUIT": toQuit}

func (r *replies) Write(p []byte) (int, error) {
	switch r.awaited {
	case toText:
		return r.writeText(p)
	case toLogin:
		r.hide(bytes.Fields(p))
	default:
		words := append(bytes.Fields(p), nil)
		r.awaited = verbs[string(words[0])]
		if r.awaited == toLogin {
			r.hide(words[min(2, len(words)):]) // not the mechanism
		}
	}
	return r.Conn.Write(p)
}

// writeText notices the end of the text. It is only whole if all was written:
// of what fails, the other side cannot have the end.
func (r *replies) writeText(p []byte) (int, error) {
	n, err := r.Conn.Write(p)
	const end = "\r\n.\r\n"
	r.tail = append(r.tail, p[:n]...)
	r.tail = slices.Clone(r.tail[max(0, len(r.tail)-len(end)):])
	if string(r.tail) == end && r.handed != nil {
		r.handed()
	}
	return n, err
}

// hide remembers what no text of an error may repeat.
func (r *replies) hide(words [][]byte) {
	for _, word := range words {
		if len(word) >= shortSecret {
			r.secrets = append(r.secrets, string(word))
		}
	}
}

// shortSecret is the length below which a text would be found everywhere.
const shortSecret = 4

func (r *replies) Read(p []byte) (int, error) {
	if len(r.ready) == 0 {
		reply, err := r.next()
		if err != nil {
			return 0, err
		}
		r.ready = reply
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// next reads one reply to its end.
func (r *replies) next() ([]byte, error) {
	if first, err := r.in.Peek(1); err == nil && (first[0] == tlsAlert || first[0] == tlsHandshake) {
		return nil, errSpeaksTLS
	}
	var code string
	var texts []string
	for left := maxReply; ; {
		line, err := r.line(&left)
		if err != nil {
			return nil, err
		}
		got, text, last, ok := parseReply(line)
		switch {
		case !ok && code == "" && line == "": // some begin with an empty line
			continue
		case !ok && code == "":
			return nil, textproto.ProtocolError("no reply code")
		case !ok: // as RFC 959 has it
			texts = append(texts, line)
			continue
		case code != "" && got != code:
			return nil, textproto.ProtocolError("a reply of two codes")
		}
		code, texts = got, append(texts, text)
		if last {
			return r.canonical(code, texts), nil
		}
	}
}

// The types of TLS records that a server may send without being asked.
const (
	tlsAlert     = 0x15
	tlsHandshake = 0x16
)

// line reads a line, however it ends, and drops what is too long of it.
func (r *replies) line(left *int) (string, error) {
	var kept []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if *left -= len(part); *left < 0 {
			return "", textproto.ProtocolError("a reply without end")
		}
		kept = append(kept, part[:min(len(part), maxReplyLine-min(len(kept), maxReplyLine))]...)
		switch {
		case err == nil:
			return string(bytes.TrimRight(kept, "\r\n")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		}
	}
}

// parseReply splits a line of a reply. A code may stand alone (RFC 5321 §4.2).
func parseReply(line string) (code, text string, last, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9' {
		return "", "", false, false
	}
	if len(line) == 3 {
		return line, "", true, true
	}
	switch line[3] {
	case ' ', '\t':
		return line[:3], line[4:], true, true
	case '-':
		return line[:3], line[4:], false, true
	}
	return "", "", false, false
}

// canonical writes a reply anew.
func (r *replies) canonical(code string, texts []string) []byte {
	was := r.awaited
	r.awaited = was.after(code)
	if r.awaited == toText {
		r.tail = []byte("\r\n")
	}
	if was == toHello && code[0] == '2' {
		texts = append(texts[:1:1], extensions(texts[1:])...)
	}
	if was == toHello && code == "504" {
		code = "502" // RFC 5321 §4.1.1.1 allows both where there is no EHLO; go-smtp tries HELO after one
	}
	if expected, ok := usual[was][code[0]]; ok {
		code = expected
	}
	var out bytes.Buffer
	for i, text := range texts {
		separator := byte('-')
		if i == len(texts)-1 {
			separator = ' '
		}
		out.WriteString(code)
		out.WriteByte(separator)
		out.WriteString(text)
		out.WriteString("\r\n")
	}
	return out.Bytes()
}

// after is what a reply is to that comes without a command.
func (a await) after(code string) await {
	switch {
	case a == toData && code[0] == '3':
		return toText
	case a == toLogin && code[0] == '3':
		return toLogin
	}
	return toCommand
}

// extensions writes the lines of an EHLO reply as go-smtp reads them: keywords
// in capitals, one blank between parameters, and one line of AUTH, whether it
// is spelled as RFC 4954 has it or as an old draft did, "AUTH=LOGIN".
func extensions(lines []string) []string {
	var out, mechanisms []string
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		keyword := strings.ToUpper(fields[0])
		if first, old := strings.CutPrefix(keyword, "AUTH="); old {
			keyword, fields = "AUTH", slices.Insert(fields, 1, first)
		}
		if keyword == "AUTH" {
			mechanisms = append(mechanisms, fields[1:]...)
			continue
		}
		out = append(out, strings.Join(append([]string{keyword}, fields[1:]...), " "))
	}
	if len(mechanisms) > 0 {
		out = append(out, "AUTH "+strings.ToUpper(strings.Join(mechanisms, " ")))
	}
	return out
}
