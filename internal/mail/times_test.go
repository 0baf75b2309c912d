// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bubble is a relay inside of a test's own time.
type bubble struct {
	mu     sync.Mutex
	dials  int
	heard  []string
	silent bool // once it was greeted

	final string        // the answer to a mail's final dot; empty: it hangs up
	hold  chan struct{} // if set, that waits for it
}

// transport makes one to it.
func (b *bubble) transport(t *testing.T, cfg SMTPConfig) *SMTP {
	t.Helper()
	cfg.Address, cfg.TLS = "127.0.0.1:25", NoTLS
	s, err := NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.dial = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.dials++
		go b.talk(theirs)
		return ours, nil
	}
	return s
}

func (b *bubble) talk(c net.Conn) {
	defer func() { _ = c.Close() }()
	_, err := io.WriteString(c, "220 hi\r\n")
	for in := bufio.NewReader(c); err == nil; {
		var line string
		if line, err = in.ReadString('\n'); err != nil {
			return
		}
		b.mu.Lock()
		b.heard = append(b.heard, strings.TrimSpace(line))
		silent, final, hold := b.silent, b.final, b.hold
		b.mu.Unlock()
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch answer := map[string]string{"EHLO": "250 fine\r\n", "DATA": "354 go\r\n", "QUIT": "221 bye\r\n", ".": final}[word]; {
		case silent && word != "EHLO":
		case word == "MAIL", strings.HasPrefix(word, "RCPT"), word == "NOOP", word == "RSET":
			_, err = io.WriteString(c, "250 fine\r\n")
		case word == "." && hold != nil:
			<-hold
			fallthrough
		case answer != "":
			_, err = io.WriteString(c, answer)
		case word == ".":
			return
		}
	}
}

// count is how often a command came.
func (b *bubble) count(command string) (n int) {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range b.heard {
		if line == command {
			n++
		}
	}
	return n
}

// taken takes a connection that there must be.
func taken(t *testing.T, s *SMTP) *conn {
	t.Helper()
	c, _, failed := s.take(t.Context())
	if failed != nil {
		t.Fatal(failed)
	}
	return c
}

// TestConnectionsAreKeptForTheirTime: they are used again, asked first if they have
// been idle, and ended politely when nobody has needed them for long.
func TestConnectionsAreKeptForTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle = 10 * time.Second
		b := &bubble{}
		s := b.transport(t, SMTPConfig{MaxConnections: 2})
		s.keep, s.most = idle, 3
		first := taken(t, s)
		s.give(first, true)
		asked := 0
		for _, step := range []struct {
			pause time.Duration
			asks  int
		}{{0, 0}, {probeAfter - 1, 0}, {probeAfter, 1}, {idle - 1, 1}} {
			time.Sleep(step.pause)
			c := taken(t, s)
			if asked += step.asks; c != first || b.count("NOOP") != asked {
				t.Errorf("after %s: the same one: %t, asked %d times, want %d", step.pause, c == first, b.count("NOOP"), asked)
			}
			s.give(c, true)
		}
		time.Sleep(idle - 1)
		if got := b.count("QUIT"); got != 0 {
			t.Errorf("%d were ended too early", got)
		}
		time.Sleep(time.Nanosecond)
		if got := b.count("QUIT"); got != 1 || len(s.idle) != 0 {
			t.Errorf("%d were ended and %d are idle after their time", got, len(s.idle))
		}
		one, two := taken(t, s), taken(t, s)
		s.give(one, true)
		time.Sleep(idle / 2)
		s.give(two, true)
		for want := 2; want < 4; want++ { // each at its time
			time.Sleep(idle/2 - 1)
			early := b.count("QUIT")
			time.Sleep(time.Nanosecond)
			if late := b.count("QUIT"); early != want-1 || late != want {
				t.Errorf("%d and then %d were ended, want the next one at its time", early, late)
			}
		}
		three := []*conn{taken(t, s), taken(t, s), taken(t, s)}
		for _, c := range three { // there is room for two
			s.give(c, true)
		}
		if got := b.count("QUIT"); got != 4 || len(s.idle) != 2 {
			t.Errorf("%d were ended and %d are idle, want one that has no place", got, len(s.idle))
		}
		for used, ended := range map[int]int{2: 0, 3: 1} {
			c, before := taken(t, s), b.count("QUIT")
			c.used = used
			if s.give(c, true); b.count("QUIT")-before != ended {
				t.Errorf("after %d mails: %d were ended, want %d", used, b.count("QUIT")-before, ended)
			}
		}
		if err := s.Close(); err != nil || len(s.idle) != 0 {
			t.Errorf("Close = %v with %d idle", err, len(s.idle))
		}
	})
}

// TestAMuteRelayIsLeftSoon: neither a question nor a goodbye waits for long.
func TestAMuteRelayIsLeftSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{}
		s := b.transport(t, SMTPConfig{})
		first := taken(t, s)
		s.give(first, true)
		time.Sleep(probeAfter)
		b.mu.Lock()
		b.silent = true
		b.mu.Unlock()
		start := time.Now()
		if second := taken(t, s); second == first || time.Since(start) != maxGoodbye || b.dials != 2 {
			t.Errorf("got the same %t after %s, %d connections", second == first, time.Since(start), b.dials)
		} else {
			s.give(second, true)
		}
		start = time.Now()
		if err := s.Close(); err != nil || time.Since(start) != maxGoodbye {
			t.Errorf("Close = %v after %s, want %s", err, time.Since(start), maxGoodbye)
		}
		if _, _, failed := s.take(t.Context()); failed == nil || !errors.Is(failed, ErrClosed) {
			t.Errorf("take after Close = %v", failed)
		}
	})
}

// TestARelayIsAskedSeldomWhatItCarries: one that does not answer is not asked for
// every mail, and what was seen is believed for a day.
func TestARelayIsAskedSeldomWhatItCarries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const umlaut = "müller@example.org"
		b := &bubble{}
		s := b.transport(t, SMTPConfig{})
		var last context.Context
		s.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			b.dials++
			last = ctx
			<-ctx.Done()
			return nil, ctx.Err()
		}
		wantAsked := func(want int, carries bool) {
			t.Helper()
			if got := !s.CannotCarry(canceled(), umlaut); got != carries || b.dials != want {
				t.Errorf("carries it: %t after %d questions, want %t after %d", got, b.dials, carries, want)
			}
		}
		start := time.Now()
		wantAsked(1, true)
		if got := time.Since(start); got != askTime || last.Err() == nil {
			t.Errorf("whoever asked waited for %s, want %s", got, askTime)
		}
		wantAsked(1, true)
		time.Sleep(askPause - askTime)
		wantAsked(1, true)
		time.Sleep(time.Nanosecond)
		wantAsked(2, true)
		s.seen.lacks, s.seen.seenAt = true, time.Now()
		wantAsked(2, false)
		time.Sleep(seenFor - 1)
		wantAsked(2, false)
		time.Sleep(time.Nanosecond)
		wantAsked(3, true)
	})
}

// TestAskingGoesOnWithoutWhoAsked, and says goodbye.
func TestAskingGoesOnWithoutWhoAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{}
		s := b.transport(t, SMTPConfig{})
		if !s.CannotCarry(canceled(), "müller@example.org") || b.count("QUIT") != 1 || b.dials != 1 {
			t.Errorf("got %d connections, heard %q, want that it has no SMTPUTF8", b.dials, b.heard)
		}
	})
}

// TestTheOtherTLSIsAskedFor when there is no greeting for a while, and only then.
func TestTheOtherTLSIsAskedFor(t *testing.T) {
	for most, want := range map[time.Duration]time.Duration{time.Minute: hush, 4 * time.Second: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := (&bubble{}).transport(t, SMTPConfig{Timeout: time.Hour, ConnectTimeout: most})
			start, asked := time.Now(), time.Duration(-1)
			s.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				asked = time.Since(start)
				<-ctx.Done()
				return nil, ctx.Err()
			}
			answer := s.askTLS(t.Context())
			time.Sleep(want - 1)
			if answer(); asked != -1 {
				t.Errorf("asked after %s, although there was a greeting", asked)
			}
			start = time.Now()
			if s.askTLS(t.Context())() || time.Since(start) != 0 {
				t.Errorf("it took %s to say that nobody asked", time.Since(start))
			}
			answer = s.askTLS(t.Context())
			time.Sleep(want)
			if answer() || asked != want || time.Since(start) != most {
				t.Errorf("asked after %s, until %s, want %s and %s", asked, time.Since(start), want, most)
			}
		})
	}
}

// TestNoPasswordWithoutTLS, whatever the configuration says.
func TestNoPasswordWithoutTLS(t *testing.T) {
	for mode, state := range map[TLSMode]*tls.ConnectionState{NoTLS: {}, STARTTLS: nil, ImplicitTLS: nil} {
		s := &SMTP{cfg: SMTPConfig{TLS: mode, Username: "u", Password: "p"}}
		if method, err := s.login(t.Context(), nil, state); method != "" || !errors.Is(err, errPlainAuth) {
			t.Errorf("%s: login = %q, %v", mode, method, err)
		}
	}
}
