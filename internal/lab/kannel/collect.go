// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// collector puts together what fakesmsc prints, for each line that it gets, and
// what bearerbox notes, for each message that it has sent. Both are in the same
// order.
type collector struct {
	log, smsc lineWriter

	mu       sync.Mutex
	sent     []sent   // what has not come out at the SMSC yet
	lines    []string // what belongs to no message yet
	messages []Message
	err      error
	changed  chan struct{} // closed when there is more
}

func newCollector() *collector {
	c := &collector{changed: make(chan struct{})}
	c.log.line, c.smsc.line = c.logged, c.printed
	return c
}

// sent is a message as bearerbox notes it, in the order of accessFormat.
type sent struct {
	length   int // of the text in UTF-8 or UCS-2, or of the octets
	coding   int
	to, from string
}

// The values of coding.
const (
	codingGSM  = 0
	codingUCS2 = 2
)

func (c *collector) logged(line string) {
	fields := strings.SplitN(line, "|", 5)
	if fields[0] != "Sent SMS" {
		return // a receipt, or a message that went nowhere
	}
	c.update(func() error {
		if len(fields) < 5 {
			return errors.New("the access log of bearerbox is not what was asked for")
		}
		s := sent{to: fields[3], from: fields[4]}
		var err error
		if s.length, err = strconv.Atoi(fields[1]); err != nil {
			return err
		}
		if s.coding, err = strconv.Atoi(fields[2]); err != nil {
			return err
		}
		c.sent = append(c.sent, s)
		return nil
	})
}

// got is what fakesmsc prints about one line.
var got = regexp.MustCompile(`DEBUG: Got message \d+: <(.*)>$`)

func (c *collector) printed(line string) {
	if match := got.FindStringSubmatch(line); match != nil {
		c.update(func() error {
			c.lines = append(c.lines, match[1])
			return nil
		})
	}
}

// update adds something, and takes the messages that are whole by now.
func (c *collector) update(add func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = add()
	for c.err == nil && len(c.sent) > 0 {
		m, used, err := c.sent[0].assemble(c.lines)
		if c.err = err; err != nil || used == 0 {
			break
		}
		c.messages = append(c.messages, m)
		c.sent, c.lines = c.sent[1:], c.lines[used:]
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *collector) snapshot() ([]Message, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.messages), c.changed, c.err
}

// lineWriter hands on what is written to it line by line. Only the one goroutine
// that copies the output of a program writes to it.
type lineWriter struct {
	line func(string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.line(string(line))
		w.rest = rest
	}
}
