// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// showSent counts what has come of all that waited.
func (e *era) showSent() {
	mails := []string{"deferred", "uncertain", "leased"}
	if e.name == "three" {
		mails = append(mails, "waiting")
	}
	for _, who := range mails {
		n := e.noted(who)
		e.until("the mail to "+who, func() bool { return e.session(n.SID).Delivery == "sent" })
		e.until("the mail to "+who, func() bool { return e.newest(n.Address) != "" })
	}
	n := e.noted("unsent")
	e.until("the text", func() bool { return e.session(n.SID).Delivery == "sent" })
	e.until("the end of all", func() bool {
		return strings.Contains(e.admins("GET", "status", nil, http.StatusOK).Body, `"waiting":{"email":0,"msisdn":0}`)
	})
	texts := map[string]int{}
	for _, m := range e.gateway.All() {
		texts[m.To]++
	}
	want(e, "texts to "+n.Address, texts[n.Address], 1)
	want(e, "texts to anybody", len(texts), 3)
	sent := map[string]int{}
	for _, m := range e.inbox.Messages() {
		sent[m.To]++
	}
	for _, who := range mails {
		want(e, "mails to "+who, sent[e.address(who)], 1)
	}
	want(e, "mails to anybody", len(sent), 3*3+crowd+1)
}

// forgettable are people with records of all kinds that tell of an address. Between one
// row and the next the store is closed, as forgetting makes tables that nothing merges in
// a life.
var forgettable = [][]string{
	{"validated", "held", "cooled", "hard"},
	{"guessed", "bound", "deferred", "foreign"},
	{"alias", "nonce", "taken"},
}

// forgotten is the era in which they are forgotten.
const forgotten = "two"

// forgetting are the lives in which they are.
func forgetting() (lives []life) {
	for i, row := range forgettable {
		lives = append(lives, life{
			name: fmt.Sprint("forget ", i+1), at: time.Minute, begin: (*golden).startForgetting, goOn: i > 0,
			parts: []part{{fmt.Sprint("row ", i+1, " is forgotten"), func(e *era) { e.showForgotten(row) }}},
		})
	}
	return lives
}

// startForgetting leaves what waits where it is.
func (g *golden) startForgetting() {
	_ = rawEntries(g.t, g.path("store"), leaveAll)
	g.refuse.Store(true)
	g.startOpenly()
}

// person is somebody's address, as it is told from others.
func (e *era) person(who string) string {
	if who == "guessed" {
		return e.number(1)
	}
	return e.address(who)
}

func (e *era) showForgotten(people []string) {
	for _, who := range people {
		person := strings.Replace("+"+e.person(who), "+"+e.address(who), e.address(who), 1)
		if e.name == forgotten {
			e.forget(person)
		}
		want(e, person+" is known", e.knows(person), e.name != forgotten && who != "bound")
	}
}

// knows reports whether there is anything of a person.
func (e *era) knows(person string) bool {
	found := e.finds(person)
	used := func(l admin.LimitUse) bool { return (l.Limit == "number" || l.Limit == "address") && l.Used > 0 }
	return len(found.Messages) > 0 || found.Unwanted != nil || found.Suppressed != nil || slices.ContainsFunc(found.Limits, used)
}

// forget erases what there is of a person. Then the
// files of the store are written anew, which goes by a clock: that is left to be.
func (e *era) forget(person string) {
	e.admins("POST", "suppressions/add", stack.Object{"address": person}, http.StatusOK)
	ctx, cancel := context.WithCancel(e.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = e.operator().Do(ctx, "POST", admin.Base+"addresses/forget", "", stack.Object{"address": person}) // it may be cut off
	}()
	e.until("the end of "+person, func() bool { return !e.knows(person) })
	cancel()
	<-ended
}

// showGone looks into what is left.
func (e *era) showGone() {
	for _, who := range slices.Concat(forgettable...) {
		want(e, who+" is in the store", e.tells(e.person(who)), e.name != forgotten)
	}
	for kind, n := range e.raw {
		if len(kind) == 1 && strings.Contains("aehn", kind) {
			want(e, "records of kind "+kind, n[e.key] > 0, e.name != forgotten)
		}
	}
	want(e, "cool-downs", e.raw["c"][0], len(e.eras())-1)
}

// tells reports whether an entry of the store tells of an address to who has the keys.
func (g *golden) tells(address string) bool {
	return slices.ContainsFunc(g.plain, func(text string) bool { return strings.Contains(text, address) })
}

func (e *era) showKeys() {
	keys := e.keys()
	want(e, "keys", fmt.Sprint(ids(keys)), "[3 2 1]")
	want(e, "records", keys.Keys[len(keys.Keys)-e.key].Records > 20, true)
	want(e, "dropped", len(keys.Dropped), 0)
	text, err := os.ReadFile(e.path("keys.json"))
	must(e.t, err, os.WriteFile(e.path("copy.json"), text, 0o600))
	said, err := e.command("check-copy", "--file", e.path("copy.json"))
	want(e, "copy of the key file: "+said, err, nil)
}

// showResealed looks for what has no end: it is where the newest key has it.
func (e *era) showResealed() {
	want(e, "bindings by keys", e.raw["b"], [4]int{3: 3})
	want(e, "suppressions by keys", e.raw["x"], [4]int{3: 15})
	want(e, "sessions stay", e.raw["s"][e.key] > 0, true)
}

// startPruning waits for the end of the check, as it is begun with the start.
func (g *golden) startPruning() {
	g.startOpenly()
	g.pruned = g.keys()
}

func (e *era) showPruned() {
	want(e, "keys", fmt.Sprint(ids(e.pruned), e.pruned.Dropped), "[3] [2 1]")
	for who, suppressed := range map[string]bool{"hard": true, "complaint": true, "manual": true, "mailgun": true, "soft": false} {
		want(e, who+" is suppressed", e.finds(e.address(who)).Suppressed != nil, suppressed)
	}
}

// startBackingUp makes another store of a backup of the one that is open.
func (g *golden) startBackingUp() {
	g.startOpenly()
	said, err := g.command("backup", "--output", g.path("backup"))
	must(g.t, err)
	text, err := offline("restore", "--input", g.path("backup"), "--store", g.path("restored"))
	must(g.t, err)
	fmt.Println(said, text)
}

func (e *era) showBackup() {
	want(e, "sessions", e.session(e.noted("added").SID).State, "pending")
}

// startRestored opens that store.
func (g *golden) startRestored() {
	must(g.t, os.RemoveAll(g.path("store")), os.Rename(g.path("restored"), g.path("store")))
	g.startOpenly()
}

func (e *era) showRestored() {
	n := e.noted("added")
	e.admins("POST", "sessions/find", stack.Object{"sid": n.SID}, http.StatusNotFound)
	page, _, err := e.client.Click(e.t.Context(), n.Link)
	want(e, "page of the link", err == nil && page.Status == http.StatusOK, false)
	e.adds(e.joins("alias"), e.noted("alias"), http.StatusBadRequest)
	e.resets("validated", http.StatusUnauthorized)
}
