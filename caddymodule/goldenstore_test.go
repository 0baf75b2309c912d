// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// goldenStore was written by the program of 2026-12; see docs/adr/0034-golden-store.md.
const goldenStore = "testdata/stores/2026-12.tar.gz"

// goldenBegin is when it was begun. Its writer was killed within the minute.
var goldenBegin = time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC)

// part is something that is shown of each era.
type part struct {
	name string
	show func(*era)
}

// life is one process over the golden store, or over what the life before has made of it.
type life struct {
	name  string
	at    time.Duration // since goldenBegin
	begin func(*golden)
	parts []part
	goOn  bool // with what the life before has left
}

// readers are in the order in which they are led.
var readers = slices.Concat(forgetting(), []life{
	{name: "forgotten", at: time.Minute, begin: (*golden).readRaw, parts: []part{{"nothing is left of who was forgotten", (*era).showGone}}, goOn: true},
	{name: "kinds", at: time.Minute, begin: (*golden).readRaw, parts: []part{{"every kind", (*era).showKinds}}},
	{name: "requests", at: time.Minute, begin: (*golden).startOpenly, parts: []part{
		{"a request is repeated", (*era).showRepeated},
		{"another open request is told of", (*era).showOpen},
		{"a pending session registers once", (*era).showPending},
		{"a pending session adds an address once", (*era).showAdded},
		{"a validated session resets once, and the notice is in the language of its reader", (*era).showValidated},
		{"a completed session completes nothing", (*era).showCompleted},
		{"a completion in flight is answered", (*era).showAlias},
		{"a request in flight is called back for", (*era).showNonce},
		{"a session of the homeserver's has its nonce", (*era).showForeign},
		{"a registration is known by its client", (*era).showTied},
		{"a held mail is sent at its stage", (*era).showHeld},
	}},
	{name: "limits", at: time.Minute, begin: (*golden).startTexting, parts: []part{
		{"what became of mails is found", (*era).showDelivered},
		{"a limit goes on", (*era).showLimited},
		{"an address cools down", (*era).showCooled},
		{"suppressions are listed and kept to", (*era).showSuppressed},
		{"a token of a webhook is bound to its content", (*era).showGuarded},
		{"wrong codes go on counting", (*era).showGuessed},
		{"what is spent on numbers goes on counting", (*era).showCounted},
		{"a code is accepted", (*era).showTexted},
		{"a binding is ended", (*era).showBound},
	}},
	{name: "decoys", at: time.Minute, begin: (*golden).startDiscreetly, parts: []part{{"an owner is told once a day", (*era).showExplained}}},
	{name: "outbox", at: 15 * time.Minute, begin: (*golden).startOpenly, parts: []part{{"what waits is sent once", (*era).showSent}}},
	{name: "keys", at: time.Minute, begin: (*golden).startOpenly, parts: []part{{"a key has what it has sealed", (*era).showKeys}}},
	{name: "resealed", at: time.Minute, begin: (*golden).readRaw, parts: []part{{"what outlives a key is sealed anew", (*era).showResealed}}, goOn: true},
	{name: "pruned", at: 60 * 24 * time.Hour, begin: (*golden).startPruning, goOn: true, parts: []part{
		{"a key that nothing needs is dropped", (*era).showPruned},
		{"a binding outlives its key", (*era).showBound},
	}},
	{name: "backup", at: time.Minute, begin: (*golden).startBackingUp, parts: []part{{"it is backed up and restored", (*era).showBackup}}},
	{name: "restored", at: time.Minute, begin: (*golden).startRestored, goOn: true, parts: []part{
		{"a session is not restored", (*era).showRestored},
		{"an address cools down", (*era).showCooled},
		{"suppressions are listed and kept to", (*era).showSuppressed},
		{"a binding is ended", (*era).showBound},
	}},
})

// TestGoldenStore opens what a program of before has written, killed in the middle of it,
// with every kind of record under three keys: all of it works, is found, and is forgotten.
func TestGoldenStore(t *testing.T) {
	if name := os.Getenv(childGolden); name != "" {
		goldenLife(t, name)
	}
	if os.Getenv("UPDATE_GOLDEN_STORE") != "" {
		writeGolden(t)
	}
	dir := ""
	for _, l := range readers {
		if !l.goOn {
			dir = unpackGolden(t, goldenStore)
		}
		said, ok := lead(t, l.name, dir, goldenBegin.Add(l.at))
		told := false
		for _, p := range l.parts {
			for _, e := range new(golden).eras() {
				t.Run(l.name+"/"+p.name+"/"+e.name, func(t *testing.T) {
					switch done := strings.Contains(said, shown(p, e)); {
					case !done && told:
						t.Error("it was not come to")
					case !done:
						told = true
						t.Errorf("it is not so. The life has said:\n%s", said)
					}
				})
			}
		}
		if !ok && !told {
			t.Errorf("life %s has not come to its end. It has said:\n%s", l.name, said)
		}
	}
}

// shown is said of a part that is as it has to be.
func shown(p part, e *era) string { return fmt.Sprintf("\nshown: %s (%s)\n", p.name, e.name) }

// show goes on until something is not as it has to be.
func (l life) show(g *golden) {
	l.begin(g)
	for _, p := range l.parts {
		for _, e := range g.eras() {
			p.show(e)
			if g.t.Failed() {
				g.t.FailNow()
			}
			fmt.Print(shown(p, e))
		}
	}
}

// goldenKinds are all kinds of records that the program writes, and whether they are
// sealed. A kind is called as its entries' keys begin; those that are not of sessions, by
// their partition besides.
var goldenKinds = map[string]bool{
	"s": true, "i": false, "n": true, "a": true, "l": false, "h": true, "b": true, "c": false, "d": false, "o": true, "r": true,
	"g": true, "t": true, "e": true, "q": true, "w": true, "x": true, "xg": false,
	"shield c": true, "shield n": true, "shield a": true, "shield p": true, "check keys": true,
}

func (e *era) showKinds() {
	for kind, sealed := range goldenKinds {
		n := e.raw[kind]
		switch {
		case kind == "check keys": // there is one
			if n[1]+n[2] != 0 || n[3] != 1 {
				e.t.Errorf("got %v check records by keys, want one by the newest", n)
			}
		case sealed && (n[e.key] == 0 || n[0] != 0):
			e.t.Errorf("kind %s: got %v by keys, none of the first, want some of each other", kind, n)
		case !sealed && n[0] < len(e.eras()):
			e.t.Errorf("kind %s: got %d, want one of each era", kind, n[0])
		}
	}
	for kind := range e.raw {
		if _, known := goldenKinds[kind]; !known {
			e.t.Errorf("there is a kind %q that nobody knows", kind)
		}
	}
}
