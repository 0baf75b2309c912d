// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf16"
)

// Message is a message as the SMSC has got it.
type Message struct {
	From, To string
	// Text is what a phone would show. (Of a message that is data, it is the
	// octets.)
	Text string
	// Unicode says that the text came in UCS-2, not in GSM letters.
	Unicode bool
	// Parts is how many short messages it took.
	Parts int
}

// assemble makes a message of the lines that it came in, and says how many these
// were: none, if they are not all there.
//
// The protocol (gw/smsc/smsc_fake.c) has a line for each part:
//
//	from to text TEXT
//	from to ucs-2 DATA
//	from to data DATA
//	from to udh DATA data DATA
//
// DATA is escaped as in a query. TEXT is as it is, with its line breaks; those
// after which the carriage is returned would be lost.
func (s sent) assemble(lines []string) (m Message, used int, err error) {
	m = Message{From: s.from, To: s.to, Unicode: s.coding == codingUCS2}
	body := ""
	for ; ; used++ {
		if used > 0 && len(body) == s.length {
			break
		}
		if len(body) > s.length {
			return m, 0, fmt.Errorf("the SMSC has got %d octets of a message, want %d", len(body), s.length)
		}
		if used == len(lines) {
			return m, 0, nil
		}
		if used > 0 && m.Parts == 0 {
			body += "\n" + lines[used] // of a text
			continue
		}
		rest, found := strings.CutPrefix(lines[used], s.from+" "+s.to+" ")
		if !found {
			return m, 0, errors.New("the SMSC has got another message than was sent")
		}
		kind, content, _ := strings.Cut(rest, " ")
		if kind == "text" {
			body = content
			continue
		}
		if kind == "udh" {
			_, content, _ = strings.Cut(content, " data ")
		}
		part, err := url.QueryUnescape(content)
		if err != nil {
			return m, 0, fmt.Errorf("read a message: %w", err)
		}
		body += part
		m.Parts++
	}
	m.Parts = max(m.Parts, 1)
	m.Text, err = s.decode(body)
	return m, used, err
}

func (s sent) decode(body string) (string, error) {
	if s.coding != codingUCS2 {
		return body, nil
	}
	if len(body)%2 != 0 {
		return "", errors.New("the SMSC has got half of a letter")
	}
	units := make([]uint16, 0, len(body)/2)
	for i := 0; i < len(body); i += 2 {
		units = append(units, binary.BigEndian.Uint16([]byte(body[i:])))
	}
	return string(utf16.Decode(units)), nil
}
