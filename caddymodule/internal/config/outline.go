// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Outline is a line of a Caddyfile with the block that follows it. It knows where
// every option stands, whoever reads it and however deep.
type Outline struct {
	Words  []string
	file   string
	Number int
	// open: a placeholder stands here or in the block, so that what is meant is
	// not known yet.
	open  bool
	Block []*Outline
}

// OutlineOf looks at all that a dispenser has, and leaves it at its end.
func OutlineOf(d *caddyfile.Dispenser) *Outline {
	d.Reset()
	d.Next()
	return ReadOutline(d)
}

// UnderName puts an outline below another whose options are named with it.
func UnderName(o *Outline) *Outline {
	return &Outline{file: o.file, Number: o.Number, Block: []*Outline{o}}
}

// ReadOutline looks at the line that a dispenser is at, and the block that follows.
func ReadOutline(d *caddyfile.Dispenser) *Outline {
	o := &Outline{Words: []string{d.Val()}, file: d.File(), Number: d.Line()}
	o.Words = append(o.Words, d.RemainingArgs()...)
	for _, word := range o.Words {
		o.open = o.open || Placeholder(word)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		inner := ReadOutline(d)
		o.Block = append(o.Block, inner)
		o.open = o.open || inner.open
	}
	return o
}

// find is the line that a fault is about: the one that shares the most words
// with its beginning. What shares none is about the whole.
func (o *Outline) find(fault string) *Outline {
	if o == nil {
		return nil
	}
	words := strings.Fields(fault)
	for i, word := range words {
		words[i] = strings.Trim(word, `:,"`)
	}
	line, _ := o.closest(words)
	return line
}

// at is the number of the line.
func (o *Outline) at() int {
	if o == nil {
		return 0
	}
	return o.Number
}

// closest looks through a block.
func (o *Outline) closest(words []string) (best *Outline, shared int) {
	best = o
	for _, line := range o.Block {
		n := line.shares(words)
		if n == 0 {
			continue
		}
		inner, more := line.closest(words[n:])
		if n+more > shared {
			best, shared = inner, n+more
		}
	}
	return best, shared
}

// shares counts the words that are alike. The first must be; of others, the ones
// that only say which (limit client, brand acme) are there or not. Of a list any
// one may be meant.
func (o *Outline) shares(words []string) int {
	n := 0
	for n < len(words) && n < len(o.Words) && words[n] == o.Words[n] {
		n++
	}
	if n == 1 && len(words) > 1 && slices.Contains(o.Words[1:], words[1]) {
		return 2
	}
	return n
}

// adapted is the outline of the Caddyfile that was adapted last, with what it
// became. A configuration that is loaded in this process and is the same, byte
// for byte, was made of it.
var adapted struct {
	mu      sync.Mutex
	config  string
	outline *Outline
}

// Remember keeps what a Caddyfile became, with its outline.
func Remember(config json.RawMessage, o *Outline) {
	adapted.mu.Lock()
	defer adapted.mu.Unlock()
	adapted.config, adapted.outline = string(config), o
}

// Recall is the outline of what a configuration was made of, or nil for one that is
// not of a Caddyfile.
func Recall(config json.RawMessage) *Outline {
	adapted.mu.Lock()
	defer adapted.mu.Unlock()
	if string(config) != adapted.config {
		return nil
	}
	return adapted.outline
}
