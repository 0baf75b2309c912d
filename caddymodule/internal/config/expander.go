// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// Judged is a guest of our own. The app judges it together with itself, so that
// a fault is told with its line, and not behind the names of all modules that
// are on the way to it.
type Judged interface {
	// Judge expands the options and checks them. It reads files, unless it is
	// about a draft, and changes nothing outside.
	Judge(e *Expander)
}

// Expander expands global placeholders, and collects what is wrong with a
// configuration. It only ever sees configuration, never anything out of a
// request.
//
// Each fault begins with the words of its option, as a Caddyfile has them
// ("homeserver identity_name"): that is what an operator looks for, and what an
// outline finds the line by.
type Expander struct {
	repl *caddy.Replacer
	// Draft: a Caddyfile is being read, maybe on another machine. Placeholders
	// stay as they are, and no file is read.
	Draft bool
	root  reflect.Type // of the configuration, whose fields have names in JSON
	block string       // the words of the block whose options are looked at
	errs  *[]error
}

// NewExpander is for a configuration of that type that is loaded.
func NewExpander(root reflect.Type) *Expander {
	return &Expander{root: root, repl: caddy.NewReplacer(), errs: new([]error)}
}

// NewDraft is for one that is being read.
func NewDraft(root reflect.Type) *Expander {
	return &Expander{root: root, Draft: true, errs: new([]error)}
}

// In is for the options of a block.
func (e *Expander) In(block string) *Expander {
	inner := *e
	inner.block = e.words(block)
	return &inner
}

func (e *Expander) words(option string) string { return strings.TrimSpace(e.block + " " + option) }

// Failf notes a fault, which begins with the option.
func (e *Expander) Failf(format string, args ...any) { e.Fail(fmt.Errorf(format, args...)) }

// Fail notes a fault, or several that were joined.
func (e *Expander) Fail(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			e.Fail(one)
		}
		return
	}
	if err != nil {
		*e.errs = append(*e.errs, fmt.Errorf("%s%w", strings.TrimPrefix(e.block+" ", " "), err))
	}
}

// Failed says whether there is a fault so far.
func (e *Expander) Failed() bool { return len(*e.errs) > 0 }

// Faults are those so far.
func (e *Expander) Faults() []error { return *e.errs }

// Text expands a value.
func (e *Expander) Text(option, value string) string {
	if e.Draft {
		return value
	}
	out, err := e.repl.ReplaceOrErr(value, true, true)
	if err != nil {
		e.Failf("%s: %w", option, placeholderError(err))
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

// List expands several.
func (e *Expander) List(option string, values []string) []string {
	if len(values) == 0 {
		return nil
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = e.Text(option, v)
	}
	return out
}

// outerPlaceholder are those of Caddy that may stand beside placeholders of our
// own, which are expanded for each message.
var outerPlaceholder = regexp.MustCompile(`\{(?:env|file)\.[^{}]+\}`)

// Outer expands only those.
func (e *Expander) Outer(option, value string) string {
	return outerPlaceholder.ReplaceAllStringFunc(value, func(name string) string { return e.Text(option, name) })
}

// Err is all that is wrong, with the lines of the Caddyfile or, without one,
// the names that the options have in JSON.
func (e *Expander) Err(where *Outline) error {
	var told []error
	slices.SortStableFunc(*e.errs, func(a, b error) int { return where.find(a.Error()).at() - where.find(b.Error()).at() })
	for _, fault := range *e.errs {
		switch line := where.find(fault.Error()); {
		case line == nil:
			told = append(told, e.withJSONName(fault))
		case !e.Draft || !line.open: // else it is judged when placeholders are expanded
			told = append(told, fmt.Errorf("%w, at %s:%d", fault, line.file, line.Number))
		}
	}
	return errors.Join(told...)
}
