// SPDX-License-Identifier: Apache-2.0

package emailpolicy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/input"
)

// Bounds on a list: the longest that are published have some hundred thousand
// domains.
const (
	maxList = 32 << 20 // bytes
	maxLine = 4 << 10
)

// DefaultInterval is how long a look at the file of a list holds.
const DefaultInterval = 5 * time.Second

// List is a list of domains in a file that may be replaced at any time. A domain
// in it stands for everything below it, too.
//
// The file is looked at when the list is used, at most once per interval. One
// that cannot be read, or used, leaves the list as it was: an update that goes
// wrong must not let everybody in.
type List struct {
	options ListOptions
	current atomic.Pointer[domains]
	looked  atomic.Int64 // when, in nanoseconds

	mu   sync.Mutex  // held by the one who looks at the file
	seen fs.FileInfo // of the file that current was read from, or of a broken one
	err  error       // what is wrong with it
}

// ListOptions says where a list is.
type ListOptions struct {
	// Path is the file: a domain per line; what follows a # is a comment.
	Path string
	// Interval is how long a look at the file holds. Default: DefaultInterval.
	Interval time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Report is told when a new file was read, and when one cannot be: once, not
	// at every look. May be nil. It must not block.
	Report func(domains int, err error)
}

// domains are the list in memory.
type domains struct {
	names   map[string]struct{}
	changed time.Time // of the file
}

// LoadList reads a list for the first time, when it must be there.
func LoadList(o ListOptions) (*List, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	l := &List{options: o}
	l.looked.Store(o.Now().UnixNano())
	info, err := os.Stat(o.Path)
	if err != nil {
		return nil, fmt.Errorf("read list: %w", err)
	}
	if err := l.read(info); err != nil {
		return nil, err
	}
	return l, nil
}

// Len is the number of domains in the list.
func (l *List) Len() int { return len(l.current.Load().names) }

// State says from when the list in use is, and what is wrong with the file that
// should have replaced it.
func (l *List) State() (changed time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	return l.current.Load().changed, l.err
}

func (l *List) match(domain string) closeness {
	l.refresh()
	list := l.current.Load()
	for labels, name := range suffixes(domain) {
		if _, ok := list.names[name]; ok {
			return byName(labels, both)
		}
	}
	return unspoken
}

// refresh looks at the file if it is time. Whoever comes while another looks
// goes on with the list that there is.
func (l *List) refresh() {
	now := l.options.Now().UnixNano()
	// A clock that was set back must not put the next look off for long.
	since := now - l.looked.Load()
	if since >= 0 && since < int64(l.options.Interval) || !l.mu.TryLock() {
		return
	}
	defer l.mu.Unlock()
	l.looked.Store(now)
	l.look()
}

// look reads the file if it is another than before.
func (l *List) look() {
	info, err := os.Stat(l.options.Path)
	switch {
	case err != nil:
		l.seen = nil // read it when it is back
	case l.seen != nil && sameFile(l.seen, info):
		return
	default:
		err = l.read(info)
	}
	before := l.err
	l.err = err
	if l.options.Report != nil && (err == nil || before == nil || before.Error() != err.Error()) {
		l.options.Report(l.Len(), err)
	}
}

func sameFile(a, b fs.FileInfo) bool {
	return a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && os.SameFile(a, b)
}

// read puts the content of the file in force. What was seen of the file before
// it was read is kept, so that one which changes meanwhile is read again.
func (l *List) read(info fs.FileInfo) error {
	l.seen = nil
	if !info.Mode().IsRegular() {
		return errors.New("read list: it is not an ordinary file")
	}
	f, err := os.Open(l.options.Path)
	if err != nil {
		return fmt.Errorf("read list: %w", err)
	}
	defer f.Close()
	names, err := parseList(f)
	if errors.Is(err, errUseless) || err == nil {
		l.seen = info // reading it again would lead to the same
	}
	if err != nil {
		return fmt.Errorf("read list: %w", err)
	}
	l.current.Store(&domains{names, info.ModTime()})
	return nil
}

// errUseless is a file that was read and cannot be used.
var errUseless = errors.New("the file cannot be used")

func parseList(r io.Reader) (map[string]struct{}, error) {
	limited := &io.LimitedReader{R: r, N: maxList + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLine)
	names := map[string]struct{}{}
	number := 0
	for ; lines.Scan(); number++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = input.Trim(text); text == "" {
			continue
		}
		name, err := canonicalDomain(text)
		if err != nil {
			return nil, fmt.Errorf("%w: line %d is not a domain", errUseless, number+1)
		}
		names[name] = struct{}{}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%w: line %d is too long", errUseless, number+1)
	case err != nil:
		return nil, err
	case limited.N <= 0:
		return nil, fmt.Errorf("%w: it has more than %d MiB", errUseless, maxList>>20)
	case len(names) == 0:
		// As it is for a moment while somebody writes it.
		return nil, fmt.Errorf("%w: it names no domain", errUseless)
	}
	return names, nil
}
