// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// Options are the subdirectives of a block, each with what reads the rest of
// its line or block.
type Options map[string]func() error

// repeatable options tell their instances apart by their first argument.
var repeatable = []string{
	"limit", "relay", "brand", "css", "sender", "route", "originator", "price", "budget", "per_client",
	"header", "form", "query", "option", "refusal",
}

// ReadBlock reads a block, if there is one. An unknown subdirective, and one
// that is given twice, is an error: what an operator has written must not be
// ignored.
func ReadBlock(d *caddyfile.Dispenser, nesting int, opts Options) error {
	seen := make(map[string]bool, len(opts))
	before := ""
	for d.NextBlock(nesting) {
		name, file, line, args := d.Val(), d.File(), d.Line(), d.CountRemainingArgs()
		if name == "{" {
			return d.Errf("option '%s' takes no block", before)
		}
		read, ok := opts[name]
		if !ok {
			return d.WrapErr(unknownOption(name, opts))
		}
		if seen[name] && !slices.Contains(repeatable, name) {
			return d.Errf("option '%s' is given twice", name)
		}
		seen[name], before = true, name
		err := read()
		if errors.Is(err, ErrArgs) {
			return fmt.Errorf("%s: %s, at %s:%d", name, wrongArgs(name, args), file, line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Arg reads exactly one argument.
func Arg(d *caddyfile.Dispenser) (string, error) {
	var v string
	if !d.AllArgs(&v) {
		return "", ErrArgs
	}
	return v, nil
}

// OneArg reads a text. Its value is checked later, when placeholders have been
// expanded.
func OneArg(d *caddyfile.Dispenser, to *string) func() error {
	return func() (err error) {
		*to, err = Arg(d)
		return err
	}
}

// OneWord reads one of a few words. Only a placeholder may stand for one.
func OneWord(d *caddyfile.Dispenser, to *string, words ...string) func() error {
	return func() error {
		option := d.Val()
		v, err := Arg(d)
		if err != nil {
			return err
		}
		if !slices.Contains(words, v) && !Placeholder(v) {
			return d.WrapErr(WordError(option, v, words))
		}
		*to = v
		return nil
	}
}

// OnOff reads a switch.
func OnOff(d *caddyfile.Dispenser, to *bool) func() error {
	return func() error {
		option := d.Val()
		v, err := Arg(d)
		if err != nil {
			return err
		}
		if v != "on" && v != "off" {
			return d.WrapErr(WordError(option, v, []string{"on", "off"}))
		}
		*to = v == "on"
		return nil
	}
}

// ManyArgs reads at least one argument.
func ManyArgs(d *caddyfile.Dispenser, to *[]string) func() error {
	return func() error {
		*to = d.RemainingArgs()
		if len(*to) == 0 {
			return ErrArgs
		}
		return nil
	}
}

// OneDuration reads a duration, in which Caddy knows days.
func OneDuration(d *caddyfile.Dispenser, to *caddy.Duration) func() error {
	return func() error {
		option := d.Val()
		v, err := Arg(d)
		if err != nil {
			return err
		}
		*to, err = Positive(d, option, v)
		return err
	}
}

// Positive reads a duration that is not zero.
func Positive(d *caddyfile.Dispenser, option, v string) (caddy.Duration, error) {
	parsed, err := caddy.ParseDuration(v)
	if err != nil || parsed <= 0 {
		return 0, d.Errf("%s: must be a positive duration like 90s or 12h, not %q", option, v)
	}
	return caddy.Duration(parsed), nil
}

// OneCount reads a positive number.
func OneCount(d *caddyfile.Dispenser, to *int) func() error {
	return func() error {
		option := d.Val()
		v, err := Arg(d)
		if err != nil {
			return err
		}
		*to, err = Count(d, option, v)
		return err
	}
}

// OneCountOrOff reads a positive number, or "off" as -1.
func OneCountOrOff(d *caddyfile.Dispenser, to *int) func() error {
	count := OneCount(d, to)
	return func() error {
		if d.CountRemainingArgs() == 1 {
			d.NextArg()
			if d.Val() == "off" {
				*to = -1
				return nil
			}
			d.Prev()
		}
		return count()
	}
}

// Durations reads one or more.
func Durations(d *caddyfile.Dispenser, option string) (list []caddy.Duration, err error) {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return nil, ErrArgs
	}
	for _, v := range args {
		one, err := Positive(d, option, v)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// maxCount is the greatest number that stays as it is in JSON, where Caddy keeps
// numbers as floating-point ones between reading a configuration and loading it.
const maxCount = 1 << 53

// Count reads a positive number.
func Count(d *caddyfile.Dispenser, option, v string) (int, error) {
	n, err := strconv.Atoi(v)
	switch {
	case int64(n) > maxCount: // also if it is too great for an int
		return 0, d.Errf("%s: must be at most %d, not %s", option, int64(maxCount), v)
	case err != nil || n <= 0:
		return 0, d.Errf("%s: must be a positive number, not %q", option, v)
	}
	return n, nil
}

// OneRate reads a positive number that need not be whole.
func OneRate(d *caddyfile.Dispenser, to *float64) func() error {
	return func() error {
		option := d.Val()
		v, err := Arg(d)
		if err != nil {
			return err
		}
		rate, err := strconv.ParseFloat(v, 64)
		if err != nil || !(rate > 0 && rate <= 1e6) {
			return d.Errf("%s: must be a positive number, not %q", option, v)
		}
		*to = rate
		return nil
	}
}

// OneSize reads a size in bytes, which may have a unit.
func OneSize(d *caddyfile.Dispenser, to *int64) func() error {
	return func() error {
		option := d.Val()
		v, err := Arg(d)
		if err != nil {
			return err
		}
		size, err := humanize.ParseBytes(v)
		if err != nil || size == 0 || size > 1<<30 {
			return d.Errf("%s: must be a size like 64KiB, at most 1GiB, not %q", option, v)
		}
		*to = int64(size) // bounded above
		return nil
	}
}

// Placeholder reports whether a value has one in it.
func Placeholder(v string) bool {
	return strings.Contains(v, "{") && strings.Contains(v, "}")
}

// CheckWord refuses a value that is none of a few words.
func CheckWord(option, value string, words []string) error {
	if slices.Contains(words, value) {
		return nil
	}
	return WordError(option, value, words)
}

// WordError says which words there are.
func WordError(option, value string, words []string) error {
	return fmt.Errorf("%s: must be %s, not %q", option, strings.Join(words, " or "), value)
}
