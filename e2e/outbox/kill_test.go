// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// post is what has arrived at all relays.
type post struct {
	mu      sync.Mutex
	total   int
	seen    map[string]bool // by recipient
	waiting []chan struct{} // the n-th is closed when enough has arrived
	marks   []int
}

// arrived counts one mail that a relay is about to take.
func (p *post) arrived(recipient string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total++
	p.seen[recipient] = true
	for i, mark := range p.marks {
		if len(p.seen) == mark && p.waiting[i] != nil {
			close(p.waiting[i])
			p.waiting[i] = nil
		}
	}
}

// people is how many have mail.
func (p *post) people() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}

// when returns a channel that is closed as soon as so many people have mail.
func (p *post) when(people int) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := make(chan struct{})
	if len(p.seen) >= people {
		close(c)
		return c
	}
	p.marks, p.waiting = append(p.marks, people), append(p.waiting, c)
	return c
}

// child is a process of childRun.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	empty chan struct{} // closed when no message waits any more
	done  chan struct{} // closed when its output has ended
}

// campaign is the whole test: the users that are still to be served, and what
// has been promised to the others.
type campaign struct {
	t     *testing.T
	order order

	mu   sync.Mutex
	sids map[int]string
}

// start runs a child for those who have no answer yet.
func (c *campaign) start(people int) *child {
	c.t.Helper()
	o := c.order
	c.mu.Lock()
	for user := range people {
		if _, ok := c.sids[user]; !ok {
			o.Users = append(o.Users, user)
		}
	}
	c.mu.Unlock()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRun+"=1")
	cmd.Stderr = os.Stderr
	stdin, inErr := cmd.StdinPipe()
	stdout, outErr := cmd.StdoutPipe()
	raw, jsonErr := json.Marshal(o)
	if err := errors.Join(inErr, outErr, jsonErr, cmd.Start()); err != nil {
		c.t.Fatal(err)
	}
	running := &child{cmd: cmd, stdin: stdin, empty: make(chan struct{}), done: make(chan struct{})}
	c.t.Cleanup(running.kill)
	go func() {
		defer close(running.done)
		c.listen(bufio.NewReader(stdout), running.empty)
	}()
	if _, err := stdin.Write(append(raw, '\n')); err != nil {
		c.t.Fatal(err)
	}
	return running
}

// listen notes what was promised. A line that is cut off was not.
func (c *campaign) listen(lines *bufio.Reader, empty chan struct{}) {
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		if strings.TrimSpace(line) == allDone {
			close(empty)
			continue
		}
		var user int
		var sid string
		if _, err := fmt.Sscan(line, &user, &sid); err != nil {
			c.t.Errorf("the child said %q", line)
			return
		}
		c.mu.Lock()
		c.sids[user] = sid
		c.mu.Unlock()
	}
}

func (c *campaign) promised() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sids)
}

// kill ends a child as a power cut would. It may be called again.
func (p *child) kill() {
	_ = p.cmd.Process.Kill() // it may be gone
	<-p.done
	_ = p.cmd.Wait() // it was killed
	_ = p.stdin.Close()
}

// stop ends a child as a service manager would.
func (p *child) stop() error {
	if err := p.stdin.Close(); err != nil {
		return err
	}
	<-p.done
	return p.cmd.Wait()
}

// TestKillsAndAFlappingRelayLoseNothing: 10,000 people ask for a token, the
// first relay keeps failing in one way after the other, and the process is
// killed three times. Everybody who was promised a mail gets it, but those whose
// mail two deaths have interrupted, if any: their session says so. Some get it
// twice, because nobody can know whether the relay had taken it when the process
// died: then it has the same Message-ID, and a mail program shows it once.
func TestKillsAndAFlappingRelayLoseNothing(t *testing.T) {
	const people = 10_000
	began := time.Now()
	arrived := &post{seen: map[string]bool{}}
	bad := &flapping{
		moods: []mood{working, greylisting, dyingInData, working, resetting, tarpitting, afterData}, lasts: 300 * time.Millisecond,
		began: time.Now(), recovered: func() bool { return arrived.people() >= people*95/100 },
	}
	flaps := start(t, func(stage, address string) error {
		if err := bad.fail(stage); err != nil {
			return err
		}
		return arrived.count(stage, address)
	})
	steady := start(t, arrived.count)
	c := &campaign{t: t, sids: map[int]string{}, order: order{
		Dir: t.TempDir(), Relays: []string{flaps.Addr(), steady.Addr()}, CA: append(flaps.CAPEM(), steady.CAPEM()...),
	}}
	deadline, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	wait := func(what string, ready <-chan struct{}) {
		t.Helper()
		select {
		case <-ready:
		case <-deadline.Done():
			t.Fatalf("%s did not happen: %d of %d have mail, %d were promised it", what, arrived.people(), people, c.promised())
		}
	}
	for _, mark := range []int{people / 5, people / 2, people * 4 / 5} {
		running := c.start(people)
		wait("a kill", arrived.when(mark))
		running.kill()
		t.Logf("killed after %s, when %d of %d were promised a mail and %d had it",
			time.Since(began).Round(10*time.Millisecond), c.promised(), people, mark)
	}
	last := c.start(people)
	wait("most of the mail", arrived.when(people*99/100))
	t.Logf("after %s all but the hundredth part had it", time.Since(began).Round(10*time.Millisecond))
	wait("the end of all mail", last.empty)
	if err := last.stop(); err != nil {
		t.Errorf("the last child: %v", err)
	}
	c.inspect(c.judge(people, began, append(flaps.Messages(), steady.Messages()...)))
	byBad := len(flaps.Messages())
	t.Logf("%d mails went through the relay that flaps, and %d through the other", byBad, len(steady.Messages()))
	if byBad == 0 || byBad == people {
		t.Errorf("%d mails went through the relay that flaps", byBad)
	}
}

// judge looks at all mail that arrived, and returns who has none.
func (c *campaign) judge(people int, began time.Time, mails []smtptest.Message) (without []int) {
	took := time.Since(began)
	ids := map[string]map[string]int{} // by recipient
	for _, m := range mails {
		if ids[m.To] == nil {
			ids[m.To] = map[string]int{}
		}
		ids[m.To][m.Header("Message-Id")]++
	}
	twice, distinct := 0, map[string]bool{}
	for user := range people {
		of := ids[userAddress(user)]
		if len(of) == 0 {
			without = append(without, user)
		}
		if len(of) > 1 {
			c.t.Errorf("user %d got %d different mails", user, len(of))
		}
		for id, n := range of {
			twice += n - 1
			distinct[id] = true
		}
	}
	c.t.Logf("%d mails for %d people in %s: %d have none, %d sent again under the same Message-ID",
		len(mails), people, took.Round(10*time.Millisecond), len(without), twice)
	if len(distinct)+len(without) != people || c.promised() != people {
		c.t.Errorf("%d without, %d different Message-IDs, %d promised, want %d", len(without), len(distinct), c.promised(), people)
	}
	// At each death, and at each fall of the relay, some are under way.
	if twice > people/20 {
		c.t.Errorf("%d duplicates are more than deaths explain", twice)
	}
	return without
}

// inspect looks into the database that the processes have left. Who has no mail was
// under way at two deaths, and knows.
func (c *campaign) inspect(without []int) {
	m, err := assemble(c.order)
	if err != nil {
		c.t.Fatal(err)
	}
	defer m.close()
	status, err := m.outbox.Status(c.t.Context())
	if err != nil || status.Waiting[threepid.Email] != 0 || status.Unreadable != 0 {
		c.t.Errorf("the outbox is left with %+v, %v", status, err)
	}
	states := map[verification.DeliveryState]int{}
	for user, sid := range c.sids {
		a, err := m.svc.Describe(c.t.Context(), threepid.SID(sid))
		if err != nil {
			c.t.Fatalf("a session that was promised: %v", err)
		}
		states[a.Delivery]++
		if slices.Contains(without, user) && a.Delivery != verification.Uncertain {
			c.t.Errorf("user %d has no mail, and their session says %q", user, a.Delivery)
		}
	}
	// Of a mail that two deaths interrupted nobody can know whether it was sent, and
	// no third process may try: its session says so. At a death no more are under way
	// than there are workers.
	const mayBeUncertain = 2 * outbox.DefaultWorkers
	if unsure := states[verification.Uncertain]; unsure > mayBeUncertain || states[verification.Delivered]+unsure != len(c.sids) {
		c.t.Errorf("the sessions say %v, want all to be sent but at most %d", states, mayBeUncertain)
	}
}

// count notes a mail that is about to be taken, of which a relay knows the
// recipient.
func (p *post) count(stage, address string) error {
	if stage == "DATA" {
		p.arrived(strings.ToLower(address))
	}
	return nil
}
