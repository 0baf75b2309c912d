// SPDX-License-Identifier: Apache-2.0

package emailpolicy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is what a name server knows of a name.
type zone struct {
	mx     []string
	a      bool
	rcode  dnsmessage.RCode
	aRCode dnsmessage.RCode // for A alone
	silent bool             // never answers
}

// dnsServer is a name server on loopback.
func dnsServer(t *testing.T, zones map[string]zone) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var query dnsmessage.Message
			if query.Unpack(buf[:n]) != nil || len(query.Questions) != 1 {
				continue
			}
			if raw := answerTo(query, zones); raw != nil {
				_, _ = conn.WriteTo(raw, from)
			}
		}
	}()
	// As in production, but for where it asks.
	r := NewResolver()
	r.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}
	return r
}

func answerTo(query dnsmessage.Message, zones map[string]zone) []byte {
	q := query.Questions[0]
	reply := &dnsmessage.Message{Questions: query.Questions}
	reply.ID, reply.Response, reply.RecursionAvailable = query.ID, true, true
	z, known := zones[strings.ToLower(q.Name.String())]
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}
	switch {
	case !known:
		reply.RCode = dnsmessage.RCodeNameError
	case z.silent:
		return nil
	case z.rcode != 0:
		reply.RCode = z.rcode
	case q.Type == dnsmessage.TypeMX:
		for i, host := range z.mx {
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.MXResource{Pref: uint16(10 * i), MX: dnsmessage.MustNewName(host)}})
		}
	case q.Type == dnsmessage.TypeA && z.aRCode != 0:
		reply.RCode = z.aRCode
	case q.Type == dnsmessage.TypeA && z.a:
		reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}})
	}
	raw, err := reply.Pack()
	if err != nil {
		return nil
	}
	return raw
}

// TestMX asks a real server with the resolver that is used in production.
func TestMX(t *testing.T) {
	resolver := dnsServer(t, map[string]zone{
		"good.example.":       {mx: []string{"mx.good.example."}},
		"several.example.":    {mx: []string{"mx1.example.", "mx2.example."}},
		"address.example.":    {a: true},
		"null.example.":       {mx: []string{"."}},
		"nullandmx.example.":  {mx: []string{".", "mx.example."}},
		"nullwitha.example.":  {mx: []string{"."}, a: true},
		"empty.example.":      {},
		"servfail.example.":   {rcode: dnsmessage.RCodeServerFailure},
		"refused.example.":    {rcode: dnsmessage.RCodeRefused},
		"servfaila.example.":  {aRCode: dnsmessage.RCodeServerFailure},
		"silent.example.":     {silent: true},
		"malformed.example.":  {mx: []string{"white space.example."}},
		"halfbroken.example.": {mx: []string{"white space.example.", "mx.example."}},
	})
	p, err := New(Config{Allow: []string{"=null.example", "*"}, MX: NewMX(MXOptions{Resolver: resolver, Timeout: 3 * time.Second})})
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]Rule{
		"good.example": Allow, "several.example": Allow, "address.example": Allow, "nullandmx.example": Allow, "halfbroken.example": Allow,
		"null.example": NullMX, "nullwitha.example": NullMX,
		"empty.example": NoMail, "no-such.example": NoMail,
		"servfail.example": MXUnknown, "refused.example": MXUnknown, "servfaila.example": MXUnknown, "silent.example": MXUnknown, "malformed.example": MXUnknown,
		"dotless": NoDot, // and is not asked about
	} {
		got := p.Check(t.Context(), "a@"+domain)
		if got.Rule != want || (got.Action == Refused) != want.refuses() {
			t.Errorf("%s: got %+v, want %s", domain, got, want)
		}
	}
}

// fakeResolver counts, and does as it is told.
type fakeResolver struct {
	asked  atomic.Int32
	answer func(ctx context.Context, name string) ([]*net.MX, error)
}

func (f *fakeResolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	f.asked.Add(1)
	return f.answer(ctx, name)
}

func (f *fakeResolver) LookupHost(_ context.Context, name string) ([]string, error) {
	if strings.HasPrefix(name, "nothing.") {
		return nil, nil
	}
	return nil, &net.DNSError{IsNotFound: true}
}

var someMX = []*net.MX{{Host: "mx.example."}}

// TestMXIsRemembered: for as long as its kind of answer is, and never from
// before.
func TestMXIsRemembered(t *testing.T) {
	for name, tt := range map[string]struct {
		mx   []*net.MX
		err  error
		want Rule
		hold time.Duration
	}{
		"good":    {someMX, nil, "", holdGood},
		"null":    {[]*net.MX{{Host: "."}}, nil, NullMX, holdBad},
		"none":    {nil, nil, NoMail, holdBad},
		"unknown": {nil, errors.New("server misbehaving"), MXUnknown, holdUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1_800_000_000, 0)
			r := &fakeResolver{answer: func(context.Context, string) ([]*net.MX, error) { return tt.mx, tt.err }}
			m := NewMX(MXOptions{Resolver: r, Now: func() time.Time { return now }})
			for i, look := range []struct {
				after time.Duration
				asked int64
			}{{0, 1}, {tt.hold - 1, 1}, {1, 2}} {
				now = now.Add(look.after)
				got := m.check(t.Context(), "example.org")
				if asked := int64(r.asked.Load()); got != tt.want || asked != look.asked {
					t.Errorf("look %d: got %q, asked %d times, want %q, %d", i, got, asked, tt.want, look.asked)
				}
			}
		})
	}
}

// TestNothingIsAnAnswer, be it with an error or without.
func TestNothingIsAnAnswer(t *testing.T) {
	m := NewMX(MXOptions{Resolver: &fakeResolver{answer: func(context.Context, string) ([]*net.MX, error) { return nil, nil }}})
	for _, domain := range []string{"nothing.example", "unknown.example"} {
		if got := m.check(t.Context(), domain); got != NoMail {
			t.Errorf("%s: got %q, want %q", domain, got, NoMail)
		}
	}
}

// TestOptionsAreKept, and what is not given is the default.
func TestOptionsAreKept(t *testing.T) {
	got := NewMX(MXOptions{})
	if o := got.options; o.Timeout != DefaultMXTimeout || o.Now == nil || got.memory.size != DefaultMXSize {
		t.Errorf("got %+v and room for %d, want the defaults", o, got.memory.size)
	}
	got = NewMX(MXOptions{Timeout: 3, Size: 4})
	if got.options.Timeout != 3 || got.memory.size != 4 {
		t.Errorf("got %+v and room for %d, want what was given", got.options, got.memory.size)
	}
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte("example.org"), 0o600); err != nil {
		t.Fatal(err)
	}
	for given, want := range map[time.Duration]time.Duration{0: DefaultInterval, 5: 5} {
		l, err := LoadList(ListOptions{Path: path, Interval: given})
		if err != nil || l.options.Interval != want {
			t.Errorf("interval %v: got %+v, %v, want %v", given, l.options, err, want)
		}
	}
}

// TestMXMemoryIsBounded: a stranger who makes up domains fills nothing, and a
// domain that is in use stays.
func TestMXMemoryIsBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r := &fakeResolver{answer: func(context.Context, string) ([]*net.MX, error) { return someMX, nil }}
	m := NewMX(MXOptions{Resolver: r, Now: func() time.Time { return now }, Size: 100})
	for i := range 1000 {
		m.check(t.Context(), fmt.Sprintf("made-up-%d.example", i))
		m.check(t.Context(), "used.example")
		if got := len(m.memory.young) + len(m.memory.old); got > 100 {
			t.Fatalf("remembers %d domains, want at most 100", got)
		}
	}
	if got := r.asked.Load(); got != 1001 {
		t.Errorf("asked %d times, want once for each domain", got)
	}
	if got := len(m.flights); got != 0 {
		t.Errorf("%d look-ups were not put away", got)
	}
	one := NewMX(MXOptions{Resolver: r, Size: 2}) // one in each half
	for i := range 3 {
		one.check(t.Context(), fmt.Sprintf("made-up-%d.example", i))
	}
	if got := len(one.memory.young) + len(one.memory.old); got != 2 {
		t.Errorf("remembers %d domains, want 2", got)
	}
	before := r.asked.Load()
	for i := range 100 { // as many as one half holds, twice
		m.check(t.Context(), fmt.Sprintf("known-%d.example", i%50))
	}
	if got := r.asked.Load() - before; got != 50 {
		t.Errorf("asked %d times of 50 domains, want once for each", got)
	}
}

// TestMXTogether: many who ask for a domain at once cause one look-up, and all
// have its answer.
func TestMXTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeResolver{answer: func(context.Context, string) ([]*net.MX, error) {
			time.Sleep(time.Second)
			return []*net.MX{{Host: "."}}, nil
		}}
		m := NewMX(MXOptions{Resolver: r})
		answers := make(chan Rule, 50)
		impatient, cancel := context.WithCancel(t.Context())
		gone := make(chan Rule)
		go func() { gone <- m.check(impatient, "example.org") }() // begins the look-up
		synctest.Wait()
		for range cap(answers) {
			go func() { answers <- m.check(t.Context(), "example.org") }()
		}
		synctest.Wait()
		cancel()
		if got := <-gone; got != MXUnknown {
			t.Errorf("got %q for one who has gone, want %q", got, MXUnknown)
		}
		for range cap(answers) {
			if got := <-answers; got != NullMX {
				t.Errorf("got %q, want %q", got, NullMX)
			}
		}
		if got := r.asked.Load(); got != 1 {
			t.Errorf("asked %d times, want once", got)
		}
	})
}

// TestMXHasADeadline: also for a resolver that does not keep it.
func TestMXHasADeadline(t *testing.T) {
	for name, wait := range map[string]func(context.Context){
		"kept":     func(ctx context.Context) { <-ctx.Done() },
		"not kept": func(context.Context) { time.Sleep(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &fakeResolver{answer: func(ctx context.Context, _ string) ([]*net.MX, error) {
					wait(ctx)
					return nil, context.DeadlineExceeded
				}}
				m := NewMX(MXOptions{Resolver: r})
				start := time.Now()
				for range 3 {
					if got := m.check(t.Context(), "example.org"); got != MXUnknown {
						t.Errorf("got %q, want %q", got, MXUnknown)
					}
				}
				if got := time.Since(start); got != DefaultMXTimeout {
					t.Errorf("took %s, want %s for all three", got, DefaultMXTimeout)
				}
				if got := r.asked.Load(); got != 1 {
					t.Errorf("asked %d times, want once", got)
				}
				time.Sleep(2 * time.Hour) // until the look-up has ended, too
			})
		})
	}
}

// TestMXAsksForTheWholeName: with the dot at its end, so that a search path of
// this machine's makes no other domain of it.
func TestMXAsksForTheWholeName(t *testing.T) {
	var name string
	r := &fakeResolver{answer: func(_ context.Context, asked string) ([]*net.MX, error) {
		name = asked
		return someMX, nil
	}}
	NewMX(MXOptions{Resolver: r}).check(t.Context(), "example.org")
	if want := "example.org."; name != want {
		t.Errorf("asked for %q, want %q", name, want)
	}
}
