// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// errFault is what a broken store says, and randomness that fails.
var errFault = errors.New("fault on purpose")

// breakingReader is randomness that fails once.
type breakingReader struct {
	io.Reader
	left  int // reads until it fails; 0: none does
	broke bool
}

func (b *breakingReader) Read(p []byte) (int, error) {
	if b.left--; b.left == 0 {
		b.broke = true
		return 0, errFault
	}
	return b.Reader.Read(p)
}

// shaky is a fixture on a store, and with randomness, that fail when they are told to.
type shaky struct {
	*fixture
	disk   *storetest.Breaking
	chance *breakingReader
	broke  string // what has failed in the last deed
}

func newShaky(t *testing.T) *shaky {
	t.Helper()
	s := &shaky{disk: &storetest.Breaking{Err: errFault}, chance: &breakingReader{}}
	s.fixture = newFixture(t, func(c *Config) {
		s.disk.Store, s.chance.Reader = storetest.NewMemory(c.Now), c.Random
		c.Store, c.Random = s.disk, s.chance
		many := ratelimit.Limit{Burst: 100, Per: time.Hour}
		c.PerAddress, c.Client, c.Domain, c.User, c.UIA, c.Messages, c.Guesses = many, many, many, many, many, many, many
	})
	s.outbox.store = s.disk.Store // who is woken looks without a fault
	return s
}

// facts are what is stored, but for limits and languages, which are counted and
// remembered as well as may be.
func (s *shaky) facts() string {
	s.Helper()
	var all []string
	for key, value := range dump(s, s.disk.Store) {
		key = key[strings.IndexByte(key, ':')+1:]
		kind := kindOf(key)
		var session Session
		switch kind {
		case "l", "w":
			continue
		case "s":
			if err := kindSession.Open(s.keys, key, []byte(value), &session); err != nil {
				s.Fatalf("open session: %v", err)
			}
			kind = fmt.Sprintf("%s for %s is %s, sent %d, tried %d", session.Purpose, session.Address, session.State, session.Sends, session.Tries)
			if session.Claim != nil {
				kind += fmt.Sprintf(", claimed, answered %v", session.Claim.Answered)
			}
		}
		all = append(all, kind)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// spent is what is counted against limits: until when, in microseconds, by names.
func (s *shaky) spent() map[string]uint64 {
	s.Helper()
	all := map[string]uint64{}
	err := kindLimit.Scan(bg, s.disk.Store, limitsPartition, func(key string, value []byte) (bool, error) {
		all[strings.TrimPrefix(key, kindLimit.Key(""))] = binary.BigEndian.Uint64(value)
		return true, nil
	})
	wantNone(s, err)
	return all
}

// budgeted is what is counted against the budget of emails.
func (s *shaky) budgeted() (until uint64) {
	s.Helper()
	all := s.spent()
	for _, name := range s.budget(threepid.Email).Names {
		until = max(until, all[name])
	}
	return until
}

// outcome is what came of a deed.
type outcome struct {
	answer any
	err    error
	facts  string
	told   string // to whoever counts transitions
	spent  map[string]uint64
}

func (o outcome) String() string {
	return fmt.Sprintf("%+v, %v, told %s, and\n%s", o.answer, o.err, o.told, o.facts)
}

// trial is a deed with one key, or with one that has come after what it is about.
type trial struct {
	deed
	rotated bool
	whole   outcome // without a fault
	twice   outcome // and done again
}

// start prepares it.
func (d *trial) start(t *testing.T) (*shaky, func() (any, error)) {
	t.Helper()
	s := newShaky(t)
	do := d.prepare(s)
	if d.rotated {
		s.rotate()
	}
	return s, do
}

// outcome does it, and ends the faults.
func (s *shaky) outcome(do func() (any, error)) outcome {
	s.Helper()
	answer, err := do()
	s.broke = s.disk.Broke()
	if s.chance.broke {
		s.broke = "randomness"
	}
	s.disk.Arm(0)
	s.chance.left, s.chance.broke = 0, false
	return outcome{answer, err, s.facts(), fmt.Sprint(s.watcher.seen), s.spent()}
}

// TestEveryOperationFailsOnce makes each operation of the store, and each read of
// randomness, fail once in everything that the service does. What failed is an error
// of that kind and no verdict; nothing is half done, told or counted; and it can be
// done again, and costs no less then. What does not fail for it does what it does
// without a fault.
func TestEveryOperationFailsOnce(t *testing.T) {
	t.Parallel()
	for _, d := range deeds {
		for _, rotated := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/rotated=%v", d.name, rotated), func(t *testing.T) {
				t.Parallel()
				d := trial{deed: d, rotated: rotated}
				s, do := d.start(t)
				d.whole, d.twice = s.outcome(do), s.outcome(do)
				faults := 0
				for _, arm := range []func(s *shaky, n int){
					func(s *shaky, n int) { s.disk.Arm(n) },
					func(s *shaky, n int) { s.disk.Err = storetest.OfEveryKind(errFault); s.disk.Arm(n) },
					func(s *shaky, n int) { s.chance.left = n },
				} {
					for n := 1; d.failsAt(t, func(s *shaky) { arm(s, n) }); n++ {
						faults++
					}
				}
				if faults == 0 {
					t.Error("nothing can fail: nothing is tested")
				}
			})
		}
	}
}

// failsAt makes it with a fault, and reports whether that was met.
func (d *trial) failsAt(t *testing.T, arm func(*shaky)) bool {
	t.Helper()
	s, do := d.start(t)
	before, told, budgeted := s.facts(), fmt.Sprint(s.watcher.seen), s.budgeted()
	arm(s)
	got := s.outcome(do)
	switch broke := s.broke; {
	case broke == "":
		return false
	case errors.Is(got.err, errFault):
		d.failed(t, s, before, got)
		unsure := strings.Contains(broke, "commit") || strings.HasPrefix(broke, "update") // whether it was written
		if !d.parts && (got.told != told || !unsure && s.budgeted() != budgeted) {
			t.Errorf("%s: told were %s and are %s; counted was %d and is %d", broke, told, got.told, budgeted, s.budgeted())
		}
		again := s.outcome(do)
		if !d.repeats(again, broke) {
			t.Errorf("%s: done again, got %s\nwant %s", broke, again, d.whole)
		}
		for name, until := range d.whole.spent {
			if again.spent[name] < until {
				t.Errorf("%s: done again, it has cost %d of %s, want %d", broke, again.spent[name], name, until)
			}
		}
	case got.String() != d.whole.String():
		t.Errorf("%s: got %s\nwant an error, or what there is without a fault: %s", broke, got, d.whole)
	default:
		if again := s.outcome(do); again.String() != d.twice.String() {
			t.Errorf("%s: was no error, and done again, got %s\nwant %s", broke, again, d.twice)
		}
	}
	if len(s.outbox.faults) > 0 {
		t.Errorf("%q", s.outbox.faults)
	}
	return true
}

// failed checks what came of a fault that was told.
func (d *trial) failed(t *testing.T, s *shaky, before string, got outcome) {
	t.Helper()
	if !d.tells && got.answer != nil && !reflect.ValueOf(got.answer).IsZero() {
		t.Errorf("%s: got %+v and an error", s.broke, got.answer)
	}
	done := strings.HasPrefix(s.broke, storetest.Committed) && got.facts == d.whole.facts
	if !d.parts && !done && got.facts != before {
		t.Errorf("%s: got an error, and now there is\n%s\nand was\n%s", s.broke, got.facts, before)
	}
}

// repeats reports whether what was done again after a fault came to the same end.
func (d *trial) repeats(again outcome, broke string) bool {
	if d.counts && (d.parts || strings.HasPrefix(broke, storetest.Committed)) {
		return !errors.Is(again.err, errFault)
	}
	told := again.told == d.whole.told || d.parts || strings.HasPrefix(broke, storetest.Committed)
	return told && again.facts == d.whole.facts && fmt.Sprint(again.err) == fmt.Sprint(d.whole.err)
}

// TestEveryDeedIsTried: whatever else the service learns to do has its line in deeds.
func TestEveryDeedIsTried(t *testing.T) {
	service, ctx := reflect.TypeFor[*Service](), reflect.TypeFor[context.Context]()
	for m := range service.Methods() {
		if m.Type.NumIn() < 2 || m.Type.In(1) != ctx || m.Name == "Ping" {
			continue
		}
		if !slices.ContainsFunc(deeds, func(d deed) bool { return d.name == m.Name || strings.HasPrefix(d.name, m.Name+" ") }) {
			t.Errorf("%s is in no deed", m.Name)
		}
	}
}
