// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
)

// expander expands global placeholders, and collects what is wrong with a
// configuration. It only ever sees configuration, never anything out of a
// request.
//
// Each fault begins with the words of its option, as a Caddyfile has them
// ("homeserver identity_name"): that is what an operator looks for, and what an
// outline finds the line by.
type expander struct {
	repl *caddy.Replacer
	// draft: a Caddyfile is being read, maybe on another machine. Placeholders
	// stay as they are, and no file is read.
	draft bool
	block string // the words of the block whose options are looked at
	errs  *[]error
}

func newExpander() *expander { return &expander{repl: caddy.NewReplacer(), errs: new([]error)} }

func newDraft() *expander { return &expander{draft: true, errs: new([]error)} }

// in is for the options of a block.
func (e *expander) in(block string) *expander {
	inner := *e
	inner.block = e.words(block)
	return &inner
}

func (e *expander) words(option string) string { return strings.TrimSpace(e.block + " " + option) }

// failf notes a fault, which begins with the option.
func (e *expander) failf(format string, args ...any) { e.fail(fmt.Errorf(format, args...)) }

// fail notes a fault, or several that were joined.
func (e *expander) fail(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			e.fail(one)
		}
		return
	}
	if err != nil {
		*e.errs = append(*e.errs, fmt.Errorf("%s%w", strings.TrimPrefix(e.block+" ", " "), err))
	}
}

// failed says whether there is a fault so far.
func (e *expander) failed() bool { return len(*e.errs) > 0 }

func (e *expander) text(option, value string) string {
	if e.draft {
		return value
	}
	out, err := e.repl.ReplaceOrErr(value, true, true)
	if err != nil {
		e.failf("%s: %w", option, placeholderError(err))
	}
	return out
}

// named finds the placeholder in the replacer's error.
var named = regexp.MustCompile(`\{([a-z]+)\.([^{}]+)\}`)

// placeholderError says what to do about a placeholder that stands for nothing.
func placeholderError(err error) error {
	found := named.FindStringSubmatch(err.Error())
	switch {
	case found != nil && found[1] == "env":
		return fmt.Errorf("%s is empty: set the environment variable %s, for `caddy validate` too (it takes --envfile)", found[0], found[2])
	case found != nil && found[1] == "file":
		return fmt.Errorf("%s is empty: the file is missing, empty, or cannot be read by this user", found[0])
	case found != nil:
		return fmt.Errorf("%s cannot stand here; {env.NAME} and {file./path} can", found[0])
	}
	return err
}

func (e *expander) list(option string, values []string) []string {
	if len(values) == 0 {
		return nil
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = e.text(option, v)
	}
	return out
}

// outerPlaceholder are those of Caddy that may stand beside placeholders of our
// own, which are expanded for each message.
var outerPlaceholder = regexp.MustCompile(`\{(?:env|file)\.[^{}]+\}`)

// outer expands only those.
func (e *expander) outer(option, value string) string {
	return outerPlaceholder.ReplaceAllStringFunc(value, func(name string) string { return e.text(option, name) })
}

// servers expands the names of servers.
func (e *expander) servers(option string, values []string) []outbound.Name {
	var names []outbound.Name
	for _, raw := range e.list(option, values) {
		name, err := outbound.ParseName(raw)
		if err != nil {
			e.failf("%s %s: %w; write host or host:port", option, raw, err)
			continue
		}
		names = append(names, name)
	}
	return names
}

// err is all that is wrong, with the lines of the Caddyfile or, without one,
// the names that the options have in JSON.
func (e *expander) err(where *outline) error {
	var told []error
	slices.SortStableFunc(*e.errs, func(a, b error) int { return where.find(a.Error()).at() - where.find(b.Error()).at() })
	for _, fault := range *e.errs {
		switch line := where.find(fault.Error()); {
		case line == nil:
			told = append(told, withJSONName(fault))
		case !e.draft || !line.open: // else it is judged when placeholders are expanded
			told = append(told, fmt.Errorf("%w, at %s:%d", fault, line.file, line.number))
		}
	}
	return errors.Join(told...)
}
