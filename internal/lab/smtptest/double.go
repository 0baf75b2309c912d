// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// What a reply of a [Script] does besides being text. They may stand anywhere in it.
const (
	Drop    = "\x01" // the connection ends
	Cut     = "\x02" // the connection is reset
	Silence = "\x03" // nothing more is said, and nothing is read
	Hold    = "\x04" // what follows is said after Release
	Apart   = "\x05" // what follows is written apart
)

// Script is what a [Double] says, octet by octet, by stage: "CONNECT", the verbs,
// "BODY" (DATA was accepted, nothing is read yet) and "DOT" (the mail is read).
// What it has no words for is answered as usual.
type Script struct {
	Says map[string]string
	// Times is for how many mails, or connections before one, the words are used;
	// 0 means for all.
	Times int
	// Takes has a mail kept that was not answered with yes, and Loses has none
	// kept that was.
	Takes, Loses bool
}

var usual = map[string]string{
	"CONNECT": "220 double.test\r\n", "EHLO": "250-double.test\r\n250-8BITMIME\r\n250 SIZE\r\n", "HELO": "250 double.test\r\n",
	"MAIL": "250 2.1.0 ok\r\n", "RCPT": "250 2.1.5 ok\r\n", "DATA": "354 go ahead\r\n", "BODY": "", "DOT": "250 2.0.0 kept\r\n",
	"RSET": "250 ok\r\n", "NOOP": "250 ok\r\n", "QUIT": "221 bye\r\n" + Drop,
}

// Double is a relay that spells its replies as it is told to, and keeps the
// mails that it has taken. [Server] cannot be so odd.
type Double struct {
	script   Script
	listener net.Listener
	released chan struct{}
	done     chan struct{}
	once     sync.Once
	wg       sync.WaitGroup

	mu         sync.Mutex
	used, left int
	taken      []string
}

// StartDouble listens on a free port of 127.0.0.1, without TLS.
func StartDouble(script Script) (*Double, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	d := &Double{script: script, listener: l, released: make(chan struct{}), done: make(chan struct{})}
	d.wg.Go(d.accept)
	return d, nil
}

// Addr is host:port.
func (d *Double) Addr() string { return d.listener.Addr().String() }

// Taken are the mails that it has taken, each as often as it did.
func (d *Double) Taken() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.taken...)
}

// Left is how often a client went away while it was its turn to speak, without a QUIT:
// where every silence is scripted, it was because the machine was slower than its patience.
func (d *Double) Left() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.left
}

func (d *Double) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left++
}

// Release ends every [Hold].
func (d *Double) Release() { d.once.Do(func() { close(d.released) }) }

// Close ends everything.
func (d *Double) Close() {
	close(d.done)
	_ = d.listener.Close()
	d.wg.Wait()
}

func (d *Double) accept() {
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.wg.Go(func() {
			ended := make(chan struct{})
			d.wg.Go(func() {
				select {
				case <-d.done:
				case <-ended:
				}
				_ = c.Close() // it may have ended
			})
			d.serve(c)
			close(ended)
		})
	}
}

// serve runs one connection.
func (d *Double) serve(c net.Conn) {
	in := bufio.NewReader(c)
	if !d.say(c, d.words("CONNECT")) {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			d.leave()
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		verb = strings.ToUpper(verb)
		words := d.words(verb)
		if !d.say(c, words) {
			return
		}
		if verb == "DATA" && strings.HasPrefix(words, "3") && !d.receive(c, in) {
			return
		}
	}
}

// receive reads a mail, and answers it.
func (d *Double) receive(c net.Conn, in *bufio.Reader) bool {
	if !d.say(c, d.words("BODY")) {
		return false
	}
	mail, err := readMail(in)
	if err != nil {
		d.leave()
		return false
	}
	words, scripted := d.next("DOT")
	if strings.HasPrefix(words, "2") && !(scripted && d.script.Loses) || d.script.Takes {
		d.mu.Lock()
		d.taken = append(d.taken, mail)
		d.mu.Unlock()
	}
	return d.say(c, words)
}

func readMail(in *bufio.Reader) (string, error) {
	var mail strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return mail.String(), err
		}
		mail.WriteString(strings.TrimPrefix(line, "."))
	}
}

// words are what is said at a stage this time.
func (d *Double) words(stage string) string {
	said, _ := d.next(stage)
	return said
}

// next also tells whether they are those of the script.
func (d *Double) next(stage string) (said string, scripted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if said, scripted = d.script.Says[stage]; scripted && (d.script.Times == 0 || d.used < d.script.Times) {
		d.used++
		return said, true
	}
	if said, ok := usual[stage]; ok {
		return said, false
	}
	return "500 what?\r\n", false
}

// say writes the words, and does the rest; it reports whether the connection
// goes on.
func (d *Double) say(c net.Conn, said string) bool {
	for said != "" {
		at := strings.IndexAny(said, Drop+Cut+Silence+Hold+Apart)
		if at < 0 {
			at = len(said)
		}
		if _, err := io.WriteString(c, said[:at]); err != nil {
			return false
		}
		if at == len(said) {
			break
		}
		switch said[at : at+1] {
		case Cut:
			abort(c)
			return false
		case Drop:
			return false
		case Silence:
			<-d.done
			return false
		case Hold:
			select {
			case <-d.released:
			case <-d.done:
			}
		}
		said = said[at+1:]
	}
	return true
}
