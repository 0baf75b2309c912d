// SPDX-License-Identifier: Apache-2.0

package spellings

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
)

// row is one way to type an address, one way in which the homeserver has it, and what
// comes of it.
type row struct {
	typed, stored string
	same          bool // it is one mailbox
	outcome
}

// outcome is what somebody got who owns the mailbox that they have typed, and knows the
// password of the account.
type outcome struct{ register, logIn, reset, remove string }

// rows are all pairs. What Synapse keeps is in lower case, and each is tried once. An odd
// spelling finds all the others, and is found by itself.
func rows() []row {
	var all []row
	for _, m := range mailboxes {
		var stored []string
		for _, typed := range m.typed {
			if kept := cases.Lower(language.Und).String(typed); !slices.Contains(stored, kept) {
				stored = append(stored, kept)
			}
		}
		for _, odd := range m.odd {
			all = append(all, row{typed: odd, stored: cases.Lower(language.Und).String(odd), same: true})
		}
		for _, typed := range slices.Concat(m.typed, m.odd, m.pasted) {
			for _, s := range stored {
				all = append(all, row{typed: typed, stored: s, same: true})
			}
			if m.like != "" {
				all = append(all, row{typed: typed, stored: m.like}, row{typed: m.like, stored: cases.Lower(language.Und).String(typed)})
			}
		}
	}
	return slices.CompactFunc(all, func(a, b row) bool { return a == b })
}

// TestF19_SpellingsAtSynapse: no mailbox with two accounts, no account that cannot
// reset, log in or lose its address by any spelling of its mailbox, and no account that
// another mailbox is of any use for.
func TestF19_SpellingsAtSynapse(t *testing.T) {
	t.Parallel()
	check(t, realSynapse(t), 8)
}

// TestF19_SpellingsAtTheDouble: what the other tests are run against has addresses as
// Synapse has them.
func TestF19_SpellingsAtTheDouble(t *testing.T) {
	t.Parallel()
	check(t, doubleOfSynapse(t), 1)
}

func check(t *testing.T, hs *homeserver, every int) {
	t.Helper()
	table := rows()
	newSite(t, hs, true).try(t, table)
	compare(t, render(table))
	// The other way to decide about an address comes to the same. It takes time to show.
	var sample []row
	for i := 0; i < len(table); i += every {
		sample = append(sample, table[i])
	}
	again := slices.Clone(sample)
	newSite(t, hs, false).try(t, again)
	if !slices.Equal(again, sample) {
		t.Errorf("%s decides otherwise with checks off:\n%s\nwant\n%s", hs.name, render(again), render(sample))
	}
}

// judge states the two invariants, and the third.
func (r row) judge(t *testing.T, hs string) {
	t.Helper()
	want := outcome{"refused", "yes", "yes", "yes"}
	if !r.same {
		want = outcome{r.register, "no", "no", "no"}
	}
	if r.outcome != want {
		t.Errorf("%s: typed %+q, stored %+q, got %+v, want %+v", hs, r.typed, r.stored, r.outcome, want)
	}
}

// try fills a table. Every pair has an account and an address of its own.
func (s *site) try(t *testing.T, table []row) {
	t.Helper()
	var wg sync.WaitGroup
	next := make(chan int)
	for range 4 {
		wg.Go(func() {
			for i := range next {
				table[i].outcome = s.pair(table[i])
			}
		})
	}
	for i := range table {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, r := range table {
		r.judge(t, s.hs.name)
	}
	t.Logf("%s: %d pairs, %d requests at the homeserver through us", s.hs.name, len(table), s.requests.Load())
}

var people = func() func() string {
	var mu sync.Mutex
	n := 0
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return "u" + strconv.Itoa(n) + "."
	}
}()

// pair tries one pair.
func (s *site) pair(r row) (o outcome) {
	tag := people()
	typed, stored := strings.Replace(r.typed, "%", tag, 1), strings.Replace(r.stored, "%", tag, 1)
	name := strings.TrimSuffix(tag, ".")
	if err := s.hs.newUser(name); err != nil {
		s.t.Error(err)
		return o
	}
	token := s.token(name, password)
	s.want(s.past("POST", "account/3pid", token, object{"three_pid_creds": s.hs.vouch(stored)}), http.StatusOK)
	if kept := s.emails(token); !slices.Equal(kept, []string{stored}) {
		s.t.Errorf("%s keeps %+q as %+q", s.hs.name, stored, kept)
	}
	o.logIn = s.logIn(typed, name)
	o.register = s.register(typed, name)
	o.reset = s.reset(typed, name)
	if o.reset == "yes" {
		token = s.token(name, "new "+password)
	}
	o.remove = s.remove(typed, token)
	return o
}

func (s *site) want(a answer, status int) answer {
	if a.status != status {
		s.t.Errorf("got %d %v, want %d", a.status, a.body, status)
	}
	return a
}

func (s *site) token(name, pw string) string {
	return s.want(s.past("POST", "login", "", object{"type": "m.login.password", "user": name, "password": pw}), http.StatusOK).text("access_token")
}

func (s *site) emails(token string) (list []string) {
	threepids, _ := s.past("GET", "account/3pid", token, nil).body["threepids"].([]any)
	for _, t := range threepids {
		entry, _ := t.(map[string]any)
		list = append(list, fmt.Sprint(entry["address"]))
	}
	return list
}

// logIn logs in by an address, as clients of today and of then do.
func (s *site) logIn(typed, name string) string {
	id := "@" + name + ":" + serverName
	got := map[string]bool{}
	forms := []object{
		{"identifier": object{"type": "m.id.thirdparty", "medium": "email", "address": typed}},
		{"medium": "email", "address": typed},
	}
	if s.hs.slow { // by turns
		form := s.turn.Add(1) % 2
		forms = forms[form : form+1]
	}
	for _, body := range forms {
		body["type"], body["password"] = "m.login.password", password
		a := s.call("POST", "login", "", body)
		if a.status != http.StatusForbidden {
			s.want(a, http.StatusOK)
		}
		got[a.text("user_id")] = true
	}
	switch {
	case len(got) == 1 && got[id]:
		return "yes"
	case len(got) == 1 && got[""]:
		return "no"
	}
	return fmt.Sprint(got)
}

// confirmed opens a session and confirms it, as whoever reads the mailbox that was typed
// can; it is empty if there was nothing to confirm.
func (s *site) confirmed(purpose, typed string) string {
	a := s.call("POST", purpose+"/email/requestToken", "", object{"client_secret": "s", "email": typed, "send_attempt": 1})
	sid := a.text("sid")
	if sid == "" {
		if code := a.text("errcode"); code != "M_THREEPID_IN_USE" && code != "M_THREEPID_NOT_FOUND" {
			s.t.Errorf("%s for %+q: got %d %v", purpose, typed, a.status, a.body)
		}
		return ""
	}
	mail := s.box.Of(sid)
	if canonical, err := address.Email(input.Address(typed)); err != nil || mail.Address != canonical {
		s.t.Errorf("mail for %+q went to %+q", typed, mail.Address)
	}
	if _, err := s.svc.Submit(s.t.Context(), submission(mail)); err != nil {
		s.t.Errorf("confirm %+q: %v", typed, err)
	}
	return sid
}

// register tries to make another account with an address.
func (s *site) register(typed, name string) string {
	sid := s.confirmed("register", typed)
	if sid == "" {
		return "refused"
	}
	body := object{"username": name + "x", "password": password}
	session := s.call("POST", "register", "", body).text("session")
	body["auth"] = object{"type": "m.login.email.identity", "session": session, "threepid_creds": object{"sid": sid, "client_secret": "s"}}
	a := s.call("POST", "register", "", body)
	switch {
	case a.status == http.StatusOK:
		return "made"
	case a.text("errcode") == "M_THREEPID_IN_USE":
		return "refused"
	}
	return fmt.Sprint(a.status, a.body)
}

// reset tries to set a new password of the account.
func (s *site) reset(typed, name string) string {
	sid := s.confirmed("account/password", typed)
	if sid == "" {
		return "no"
	}
	a := s.call("POST", "account/password", "", object{"new_password": "new " + password, "auth": object{
		"type": "m.login.email.identity", "threepid_creds": object{"sid": sid, "client_secret": "s"},
	}})
	changed := s.past("POST", "login", "", object{"type": "m.login.password", "user": name, "password": "new " + password}).status == http.StatusOK
	switch {
	case changed && a.status == http.StatusOK:
		return "yes"
	case !changed:
		return "no"
	}
	return fmt.Sprint(a.status, a.body)
}

func (s *site) remove(typed, token string) string {
	s.want(s.call("POST", "account/3pid/delete", token, object{"medium": "email", "address": typed}), http.StatusOK)
	if len(s.emails(token)) == 0 {
		return "yes"
	}
	return "no"
}
