// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// telling are the entries in which whoever has the keys reads a text. A message that waits
// is one: what is in it, only its outbox says.
func (f *fixture) telling(text string) (list []string) {
	f.Helper()
	for at, value := range dump(f, f.cfg.Store) {
		_, key, _ := strings.Cut(at, ":")
		plain, err := f.keys.Open(key, []byte(value))
		if err == nil && strings.Contains(string(plain), text) || strings.HasPrefix(key, OutboxKind.Key("")) {
			list = append(list, at)
		}
	}
	slices.Sort(list)
	return list
}

// leaveTraces does whatever is written down of alice, late in the life of her sessions.
func (f *fixture) leaveTraces(at time.Duration, typed string) {
	f.Helper()
	ours := func(r *Request) { r.Typed = typed }
	proven, resent := f.validated(ask(ours)), ask(ours, secret("resent"))
	f.open(resent)
	f.clock.Advance(at)
	alias := f.claim(completes(proven))
	resent.SendAttempt = 2
	f.open(resent)
	f.replied(f.outbox.last(f), "550 <alice@example.com>: no such user here")
	_, err := f.Await(bg, ask(ours, purpose(threepid.Add)))
	f.hold(ask(ours, secret("held"), held("uia")))
	err = errors.Join(
		err, f.Spell(bg, alias, typed), f.Adopt(bg, "theirs", "nonce", ask(ours)),
		f.Bind(bg, Binding{User: "@a:b", Medium: threepid.Email, Address: ask().Address, IDServer: "id.example"}),
		f.Notify(bg, Happened{}, []Reader{{ask().Address, NoticeNew}}),
	)
	if err != nil || !alias.Live {
		f.Fatalf("%v; the alias is live: %v", err, alias.Live)
	}
	for _, kind := range []*sealed.Kind{kindSession, OutboxKind, kindReply, kindAlias, kindNonce, kindForeign, kindBinding, kindProgress} {
		if f.entries(kind) == 0 {
			f.Fatalf("there is nothing of %s", kind.Key(""))
		}
	}
}

// TestNothingThatTellsOfAnAddressOutlivesWhatLeadsToIt: whenever it is asked for, and
// however long sessions live, all of an address is forgotten.
func TestNothingThatTellsOfAnAddressOutlivesWhatLeadsToIt(t *testing.T) {
	for _, life := range []time.Duration{5 * time.Minute, time.Hour, MaxLifetime} {
		for _, at := range []time.Duration{0, life - time.Second} {
			for _, later := range []time.Duration{0, 45 * time.Second, 75 * time.Second, life, life + 75*time.Second, MaxLifetime} {
				f := newFixture(t, func(c *Config) { c.SessionLifetime, c.TokenLifetime = life, min(life, DefaultTokenLifetime) })
				f.leaveTraces(at, "Alice@example.com")
				f.clock.Advance(later)
				if _, err := f.Forget(bg, ask().ThreePID); err != nil {
					t.Fatal(err)
				}
				if left := f.telling("lice@example.com"); len(left) > 0 {
					t.Errorf("of sessions that live for %v, %v after what was done at %v, is left: %v", life, later, at, left)
				}
			}
		}
	}
}
