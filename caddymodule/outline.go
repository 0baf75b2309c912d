// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// outline is a line of a Caddyfile with the block that follows it. It knows where
// every option stands, whoever reads it and however deep.
type outline struct {
	words  []string
	file   string
	number int
	// open: a placeholder stands here or in the block, so that what is meant is
	// not known yet.
	open  bool
	block []*outline
}

// outlineOf looks at all that a dispenser has, and leaves it at its end.
func outlineOf(d *caddyfile.Dispenser) *outline {
	d.Reset()
	d.Next()
	return readOutline(d)
}

// underName puts an outline below another whose options are named with it.
func underName(o *outline) *outline {
	return &outline{file: o.file, number: o.number, block: []*outline{o}}
}

func readOutline(d *caddyfile.Dispenser) *outline {
	o := &outline{words: []string{d.Val()}, file: d.File(), number: d.Line()}
	o.words = append(o.words, d.RemainingArgs()...)
	for _, word := range o.words {
		o.open = o.open || placeholder(word)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		inner := readOutline(d)
		o.block = append(o.block, inner)
		o.open = o.open || inner.open
	}
	return o
}

// find is the line that a fault is about: the one that shares the most words
// with its beginning. What shares none is about the whole.
func (o *outline) find(fault string) *outline {
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
func (o *outline) at() int {
	if o == nil {
		return 0
	}
	return o.number
}

// closest looks through a block.
func (o *outline) closest(words []string) (best *outline, shared int) {
	best = o
	for _, line := range o.block {
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
func (o *outline) shares(words []string) int {
	n := 0
	for n < len(words) && n < len(o.words) && words[n] == o.words[n] {
		n++
	}
	if n == 1 && len(words) > 1 && slices.Contains(o.words[1:], words[1]) {
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
	outline *outline
}

func rememberOutline(config json.RawMessage, o *outline) {
	adapted.mu.Lock()
	defer adapted.mu.Unlock()
	adapted.config, adapted.outline = string(config), o
}

// recallOutline is nil for a configuration that is not of a Caddyfile. It is to be
// called before guests are loaded, which takes them out of the configuration.
func (a *App) recallOutline() *outline {
	raw, err := json.Marshal(a)
	adapted.mu.Lock()
	defer adapted.mu.Unlock()
	if err != nil || string(raw) != adapted.config {
		return nil
	}
	return adapted.outline
}
