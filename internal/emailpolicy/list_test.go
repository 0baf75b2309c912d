// SPDX-License-Identifier: Apache-2.0

package emailpolicy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// listRig is a list in a file, a clock, and what was reported.
type listRig struct {
	t       *testing.T
	path    string
	now     atomic.Int64
	reports []string
	list    *List
}

func newList(t *testing.T, text string) *listRig {
	t.Helper()
	r := &listRig{t: t, path: filepath.Join(t.TempDir(), "disposable.txt")}
	r.now.Store(time.Unix(1_800_000_000, 0).UnixNano())
	r.write(text)
	var err error
	r.list, err = LoadList(ListOptions{Path: r.path, Now: func() time.Time { return time.Unix(0, r.now.Load()) }, Report: func(n int, err error) {
		r.reports = append(r.reports, fmt.Sprint(n, " ", err))
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// write replaces the file as careful programs do.
func (r *listRig) write(text string) {
	r.t.Helper()
	err := os.WriteFile(r.path+".new", []byte(text), 0o600)
	if err = errors.Join(err, os.Rename(r.path+".new", r.path)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *listRig) advance(d time.Duration) { r.now.Add(int64(d)) }

func (r *listRig) want(domain string, listed bool) {
	r.t.Helper()
	if got := r.list.match(domain) != unspoken; got != listed {
		r.t.Errorf("%s: got listed %v, want %v; reports %q", domain, got, listed, r.reports)
	}
}

func (r *listRig) wantReports(parts ...string) {
	r.t.Helper()
	if len(r.reports) != len(parts) {
		r.t.Errorf("got reports %q, want %d of them", r.reports, len(parts))
		return
	}
	for i, part := range parts {
		if !strings.Contains(r.reports[i], part) {
			r.t.Errorf("got report %q, want one with %q", r.reports[i], part)
		}
	}
}

func TestListIsRead(t *testing.T) {
	r := newList(t, "\ufeff# disposable domains\r\n\r\nMailinator.com\r\n  trash.example.  # a comment\r\nwegwerf-bücher.example\r\n\u00a0last.example\u200b")
	for _, domain := range []string{"mailinator.com", "a.b.trash.example", "xn--wegwerf-bcher-4ob.example", "last.example"} {
		r.want(domain, true)
	}
	for _, domain := range []string{"example", "com", "inator.com", "mailinator.com.example", "comment"} {
		r.want(domain, false)
	}
	if got, want := r.list.Len(), 4; got != want {
		t.Errorf("got %d domains, want %d", got, want)
	}
	changed, err := r.list.State()
	info, errStat := os.Stat(r.path)
	if err != nil || errStat != nil || !changed.Equal(info.ModTime()) {
		t.Errorf("got a list of %s, %v, want that of the file", changed, err)
	}
	r.wantReports() // it is as it was at the start
}

func TestDisposableAndAllow(t *testing.T) {
	r := newList(t, "trash.example\nsub.example.org\nxn--bcher-kva.example")
	for _, tt := range []struct{ allow, deny, domain, want string }{
		{"", "", "trash.example", "disposable"},
		{"", "", "a.trash.example", "disposable"},
		{"", "", "nottrash.example", "default"},
		{"", "", "trash.example.org", "default"},
		{"", "", "xn--bcher-kva.example", "disposable"},
		{"trash.example *", "", "trash.example", "allow"},
		{"trash.example *", "", "a.trash.example", "allow"},
		{"=trash.example *", "", "a.trash.example", "disposable"},
		{"a.trash.example *", "", "a.trash.example", "allow"},
		{"a.trash.example *", "", "trash.example", "disposable"},
		{"*", "", "trash.example", "disposable"}, // * names nothing
		{"example", "", "trash.example", "disposable"},
		{"example.org", "", "sub.example.org", "disposable"},
		{"example.org", "", "trash.example", "not_allowed"},
		{"", "trash.example", "trash.example", "deny"},
	} {
		p, err := New(Config{Allow: strings.Fields(tt.allow), Deny: strings.Fields(tt.deny), Disposable: r.list})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Check(t.Context(), "a@"+tt.domain); string(got.Rule) != tt.want {
			t.Errorf("allow %q, deny %q, %s: got %s, want %s", tt.allow, tt.deny, tt.domain, got.Rule, tt.want)
		}
	}
}

// TestListIsReloaded: when the file changes, and not more often than the
// interval says.
func TestListIsReloaded(t *testing.T) {
	r := newList(t, "one.example\n")
	r.want("one.example", true)
	r.write("two.example\nthree.example\n")
	r.want("one.example", true) // looked at a moment ago
	r.advance(DefaultInterval - 1)
	r.want("one.example", true)
	r.advance(1)
	r.want("one.example", false)
	r.want("two.example", true)
	r.wantReports("2 <nil>")
	r.advance(DefaultInterval)
	r.want("two.example", true)
	r.wantReports("2 <nil>") // it is the same
	r.write("four.example\n")
	r.want("four.example", false) // looked at a moment ago
	r.advance(-time.Hour)         // somebody sets the clock
	r.want("four.example", true)
	r.wantReports("2 <nil>", "1 <nil>")
	fresh := newList(t, "one.example\n")
	fresh.write("two.example\n")
	fresh.want("one.example", true) // read a moment ago
}

// TestAnotherFileIsKnown by any one thing that is told of it.
func TestAnotherFileIsKnown(t *testing.T) {
	dir, at := t.TempDir(), time.Unix(1_800_000_000, 0)
	file := func(name, text string, changed time.Time) os.FileInfo {
		path := filepath.Join(dir, name)
		info, err := os.FileInfo(nil), errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, changed, changed))
		if err == nil {
			info, err = os.Stat(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := file("a", "one", at)
	for name, tt := range map[string]struct {
		other os.FileInfo
		want  bool
	}{
		"the same":     {file("a", "one", at), true},
		"another file": {file("b", "one", at), false},
		"changed":      {file("a", "one", at.Add(1)), false},
		"longer":       {file("a", "one two", at), false},
	} {
		if got := sameFile(first, tt.other); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

// TestBrokenListKeepsTheOldOne, and says so once.
func TestBrokenListKeepsTheOldOne(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"no domain":     {"one.example\nnot a domain\n", "line 2 is not a domain"},
		"an address":    {"one.example\n\nvictim@example.org\n", "line 3 is not a domain"},
		"empty":         {"", "names no domain"},
		"comments only": {"# one.example\n \n", "names no domain"},
		"binary":        {"\x00\x01\x02", "line 1 is not a domain"},
		"one long line": {"one.example\n" + strings.Repeat("x", maxLine+1), "line 2 is too long"},
		"HTML":          {"<!DOCTYPE html>\n<title>404</title>\n", "line 1 is not a domain"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newList(t, "old.example\n")
			r.write(tt.text)
			for range 3 {
				r.advance(DefaultInterval)
				r.want("old.example", true)
				r.want("one.example", false)
			}
			r.wantReports(tt.want)
			if _, err := r.list.State(); !errors.Is(err, errUseless) || strings.Contains(err.Error(), "@") {
				t.Errorf("got state %v, want what is wrong, without an address", err)
			}
			if _, err := LoadList(ListOptions{Path: r.path}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("at the start: got error %v, want one with %q", err, tt.want)
			}
			r.write("new.example\n")
			r.advance(DefaultInterval)
			r.want("new.example", true)
			r.wantReports(tt.want, "1 <nil>")
		})
	}
}

// TestVanishedListKeepsTheOldOne: and one that comes back is read, even if it
// looks like the one that went.
func TestVanishedListKeepsTheOldOne(t *testing.T) {
	r := newList(t, "old.example\n")
	if err := os.Rename(r.path, r.path+".away"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.advance(DefaultInterval)
		r.want("old.example", true)
	}
	r.wantReports("no such file")
	if err := os.Rename(r.path+".away", r.path); err != nil {
		t.Fatal(err)
	}
	r.advance(DefaultInterval)
	r.want("old.example", true)
	r.wantReports("no such file", "1 <nil>")
	if err := errors.Join(os.Remove(r.path), os.Mkdir(r.path, 0o700)); err != nil {
		t.Fatal(err)
	}
	r.advance(DefaultInterval)
	r.want("old.example", true)
	r.wantReports("no such file", "1 <nil>", "not an ordinary file")
	// It is not regular still, and something else is wrong.
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	r.advance(DefaultInterval)
	r.want("old.example", true)
	r.wantReports("no such file", "1 <nil>", "not an ordinary file", "no such file")
}

// TestListThatComesBack is in order, whatever was in its place meanwhile.
func TestListThatComesBack(t *testing.T) {
	r := newList(t, "old.example\n")
	if err := errors.Join(os.Rename(r.path, r.path+".away"), os.Mkdir(r.path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.list.State(); err == nil {
		t.Error("a folder is in order")
	}
	if err := errors.Join(os.Remove(r.path), os.Rename(r.path+".away", r.path)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.list.State(); err != nil {
		t.Errorf("got %v", err)
	}
	r.wantReports("not an ordinary file", "1 <nil>")
}

// TestStateLooks: what an operator is told is what the file is now.
func TestStateLooks(t *testing.T) {
	r := newList(t, "old.example\n")
	before, err := r.list.State()
	if err != nil {
		t.Fatal(err)
	}
	r.write("new.example\n")
	changed := before.Add(time.Hour)
	if err := os.Chtimes(r.path, changed, changed); err != nil {
		t.Fatal(err)
	}
	if got, err := r.list.State(); err != nil || !got.Equal(changed) {
		t.Errorf("got %v, %v, want %v", got, err, changed)
	}
}

// TestListThatIsMissingAtTheStart is an error, as is one that is none.
func TestListThatIsMissingAtTheStart(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{filepath.Join(dir, "none"): "no such file", dir: "not an ordinary file"} {
		if _, err := LoadList(ListOptions{Path: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	r := newList(t, "one.example\n")
	info, err := os.Stat(r.path)
	if err := errors.Join(err, os.Remove(r.path), r.list.read(info)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("gone between two looks: %v, want %v", err, fs.ErrNotExist)
	}
}

func TestListHasABound(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("one.example\n"), &repeated{text: "# nothing to see here\n"})
	if _, err := parseList(endless); !errors.Is(err, errUseless) || !strings.Contains(err.Error(), "MiB") {
		t.Errorf("got error %v, want that it is too long", err)
	}
	for _, more := range []int{0, 1} {
		const name = "one.example\n"
		_, err := parseList(io.MultiReader(strings.NewReader(name), io.LimitReader(&repeated{text: "# nothing to see here\n"}, int64(maxList-len(name)+more))))
		if got := errors.Is(err, errUseless); got != (more > 0) {
			t.Errorf("%d bytes more than there may be: got error %v", more, err)
		}
	}
	broken := io.MultiReader(strings.NewReader("one.example\n"), iotestErr{})
	if _, err := parseList(broken); err == nil || errors.Is(err, errUseless) {
		t.Errorf("got error %v, want one after which the file is read again", err)
	}
}

type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.text[r.at%len(r.text)]
		r.at++
	}
	return len(p), nil
}

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, errors.New("the disk is on fire") }

// TestReloadRace: requests that come while the list is replaced see the one or
// the other, never none.
func TestReloadRace(t *testing.T) {
	r := newList(t, "always.example\nodd.example\n")
	r.list.options.Report, r.list.options.Interval = nil, 1
	p, err := New(Config{Disposable: r.list})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r.advance(time.Second)
				if got := p.Check(t.Context(), "a@x.always.example"); got.Rule != Disposable {
					t.Errorf("got %+v while the list was replaced", got)
					return
				}
				if _, err := r.list.State(); err != nil {
					t.Errorf("got %v for a file that was replaced as a whole", err)
					return
				}
			}
		})
	}
	for i := range 200 {
		r.write(fmt.Sprintf("always.example\nround%d.example\n", i))
	}
	close(stop)
	workers.Wait()
	r.advance(time.Second)
	r.want("round199.example", true)
	r.want("odd.example", false)
}

// FuzzList: whatever is in a file, what it lists are canonical domains.
func FuzzList(f *testing.F) {
	for _, seed := range []string{"a.example\n", "\ufeff# x\r\nB\u00fccher.example. # y\r\n\r\n", "", "#", "a@b\n", "exam\u00adple.org\n", "\x00", "b.example\n.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		names, err := parseList(strings.NewReader(text))
		if (err == nil) != (len(names) > 0) {
			t.Errorf("%q: got %d names and error %v", text, len(names), err)
		}
		for name := range names {
			if again, err := canonicalDomain(name); again != name || err != nil {
				t.Errorf("%q: lists %q, which is %q, %v", text, name, again, err)
			}
		}
	})
}
