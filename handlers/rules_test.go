// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"net/http"
	"net/netip"
)

// rules are rules about email addresses; each may be nil.
type rules struct {
	refused, cannotCarry func(context.Context, string) bool
}

func (r rules) Refused(ctx context.Context, email string) bool {
	return r.refused != nil && r.refused(ctx, email)
}

func (r rules) CannotCarry(ctx context.Context, email string) bool {
	return r.cannotCarry != nil && r.cannotCarry(ctx, email)
}

// audience tells who makes a request; each of it may be nil.
type audience struct {
	addr            func(*http.Request) netip.Addr
	language, brand func(string) string
}

// audienceOf is that of a configuration, which has one from here on.
func audienceOf(c *Config) *audience {
	if a, ok := c.Audience.(*audience); ok {
		return a
	}
	a := &audience{}
	c.Audience = a
	return a
}

func (a *audience) ClientAddr(r *http.Request) netip.Addr {
	if a.addr == nil {
		return (&Config{}).clientAddr(r)
	}
	return a.addr(r)
}

func (a *audience) Language(accept string) string {
	if a.language == nil {
		return ""
	}
	return a.language(accept)
}

func (a *audience) Brand(host string) string {
	if a.brand == nil {
		return ""
	}
	return a.brand(host)
}

// operator keeps what it is told.
type operator struct{ told func(Misconfiguration) }

func (o operator) Misconfigured(found Misconfiguration) { o.told(found) }
