// SPDX-License-Identifier: Apache-2.0

package emailpolicy

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/neterr"
)

// How long an answer of the domain name system holds here. The resolvers of the
// standard library do not tell what its owner says about that, so these are
// between what owners mostly say and what a person who waits can bear.
const (
	holdGood    = 10 * time.Minute
	holdBad     = 5 * time.Minute
	holdUnknown = 10 * time.Second
)

// Defaults of MXOptions.
const (
	DefaultMXTimeout = 2 * time.Second
	DefaultMXSize    = 8192
)

// Resolver asks the domain name system; [NewResolver] is one. A name that does not exist, or has no such record, is a
// [net.DNSError] with IsNotFound.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// NewResolver is the system's name servers, asked in such a way that an answer
// which was not given does not look like one that there is nothing.
func NewResolver() *net.Resolver { return &net.Resolver{PreferGo: true, StrictErrors: true} }

// MXOptions says how domains are looked up.
type MXOptions struct {
	// Resolver is required.
	Resolver Resolver
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Timeout bounds one look-up. Default: DefaultMXTimeout.
	Timeout time.Duration
	// Size is how many domains are remembered. Default: DefaultMXSize.
	Size int
}

// MX finds out whether domains take mail. Everybody who asks for a domain at the
// same time waits for the same look-up.
type MX struct {
	options MXOptions

	mu      sync.Mutex
	memory  memory
	flights map[string]*flight
}

// flight is a look-up that is under way.
type flight struct {
	ctx  context.Context // ends with the look-up, and in time in any case
	done bool            // guarded by MX.mu, as is rule
	rule Rule
}

// NewMX makes one with nothing in its memory.
func NewMX(o MXOptions) *MX {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultMXTimeout
	}
	if o.Size == 0 {
		o.Size = DefaultMXSize
	}
	return &MX{options: o, memory: memory{size: o.Size}, flights: map[string]*flight{}}
}

// check returns the rule that a domain breaks, MXUnknown, or "".
func (m *MX) check(ctx context.Context, domain string) Rule {
	m.mu.Lock()
	if rule, ok := m.memory.get(domain, m.options.Now()); ok {
		m.mu.Unlock()
		return rule
	}
	f := m.flights[domain]
	if f == nil {
		f = m.start(ctx, domain)
	}
	m.mu.Unlock()
	select {
	case <-f.ctx.Done():
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.done {
		return f.rule
	}
	return MXUnknown
}

// start begins a look-up, which does not end with the request that was first:
// others may wait for it.
func (m *MX) start(ctx context.Context, domain string) *flight {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.options.Timeout)
	f := &flight{ctx: ctx}
	m.flights[domain] = f
	go func() {
		defer cancel()
		rule := m.ask(ctx, domain)
		m.mu.Lock()
		defer m.mu.Unlock()
		f.rule, f.done = rule, true
		delete(m.flights, domain)
		m.memory.put(domain, rule, m.options.Now())
	}()
	return f
}

// ask looks the domain up. With the dot at the end, no search path of this
// machine's is tried.
func (m *MX) ask(ctx context.Context, domain string) Rule {
	records, err := m.options.Resolver.LookupMX(ctx, domain+".")
	switch {
	case len(records) > 0:
		// There may be an error beside them, about others that are malformed.
		for _, mx := range records {
			if strings.Trim(mx.Host, ".") != "" {
				return ""
			}
		}
		return NullMX
	case err != nil && !neterr.NoSuchName(err):
		return MXUnknown
	}
	hosts, err := m.options.Resolver.LookupHost(ctx, domain+".") // RFC 5321 §5.1: the implicit MX
	switch {
	case len(hosts) > 0:
		return ""
	case err != nil && !neterr.NoSuchName(err):
		return MXUnknown
	}
	return NoMail
}

// memory holds answers for a while, and not more of them than size. It is two
// halves: when the young one is full, it becomes the old one, and what was in
// that and not used since is forgotten.
type memory struct {
	size       int
	young, old map[string]answer
}

type answer struct {
	rule  Rule
	until time.Time
}

func (c *memory) get(domain string, now time.Time) (Rule, bool) {
	a, ok := c.young[domain]
	if !ok {
		if a, ok = c.old[domain]; ok {
			c.keep(domain, a)
		}
	}
	return a.rule, now.Before(a.until) // never, if there was none
}

func (c *memory) put(domain string, rule Rule, now time.Time) {
	var hold time.Duration
	switch rule {
	case "":
		hold = holdGood
	case MXUnknown:
		hold = holdUnknown
	default:
		hold = holdBad
	}
	c.keep(domain, answer{rule, now.Add(hold)})
}

func (c *memory) keep(domain string, a answer) {
	if c.young == nil || len(c.young) >= max(c.size/2, 1) {
		c.old, c.young = c.young, map[string]answer{}
	}
	c.young[domain] = a
}
