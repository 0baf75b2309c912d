// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/idservers"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// at is a binding of Alice's address at a server.
func at(server, sid string, bound time.Time) verification.Binding {
	return verification.Binding{User: alice, Medium: threepid.Email, Address: "alice@x.org", IDServer: server, SID: threepid.SID(sid), ClientSecret: "s", Bound: bound}
}

// TestWithdrawal_WhomTheHomeserverIsSentTo: where only its signature helps, before all
// others; then where our proof is too old, then the oldest. Of those that are dead it
// waits for three, and asks each once.
func TestWithdrawal_WhomTheHomeserverIsSentTo(t *testing.T) {
	r := newRig(t)
	now := r.now()
	unproven, expired := at("unproven.example.org", "", now), at("expired.example.org", "1", now.Add(-verification.MaxLifetime))
	older, newer := at("older.example.org", "1", now.Add(-time.Hour)), at("newer.example.org", "1", now)
	most := []verification.Binding{newer, older, expired, unproven, unproven, expired}
	wd := &Withdrawal{face: r.face, targets: most}
	wd.chooseSigner(t.Context())
	want := []string{"probe unproven.example.org", "probe expired.example.org", "probe older.example.org"}
	if got := r.ids.Made(); !slices.Equal(got, want) || !wd.barred || wd.signer != r.face.IdentityName {
		t.Errorf("asked were %q, and the signer is %q, barred %v; want %q and us", got, wd.signer, wd.barred, want)
	}
	r.ids.Calls = nil
	r.ids.Start("older.example.org", "1", "s", "email", "alice@x.org")
	bad := at("no name", "", now)
	wd = &Withdrawal{face: r.face, targets: []verification.Binding{newer, older, bad}}
	wd.chooseSigner(t.Context())
	if got, want := r.ids.Made(), []string{"probe older.example.org"}; !slices.Equal(got, want) || wd.barred || wd.signer != "older.example.org" {
		t.Errorf("asked were %q, and the signer is %q, barred %v; want the one that is alive", got, wd.signer, wd.barred)
	}
	wd = &Withdrawal{face: r.face}
	if wd.chooseSigner(t.Context()); wd.barred || wd.signer != "" {
		t.Errorf("nothing is bound, and the signer is %q, barred %v", wd.signer, wd.barred)
	}
	// One server has many bindings, and is asked once.
	r.ids.Calls = nil
	wd = &Withdrawal{face: r.face, targets: []verification.Binding{newer, newer, newer, newer, older}}
	if wd.chooseSigner(t.Context()); wd.signer != "older.example.org" || len(r.ids.Made()) != 1 {
		t.Errorf("the signer is %q after %q", wd.signer, r.ids.Made())
	}
}

// answered is what the homeserver says to one try.
type answered struct {
	status int // 0: there is no answer
	body   string
}

// TestWithdrawal_WhatIsTriedAgain: with our name in the place of the server that may have
// held the homeserver up, once, and only where nothing can have been done twice.
func TestWithdrawal_WhatIsTriedAgain(t *testing.T) {
	const server, us = "id.example.org", "localhost:8443"
	failed, none, heldUp := answered{500, `{}`}, answered{}, answered{400, `{"errcode":"M_UNKNOWN"}`}
	done, gone := answered{200, `{}`}, answered{401, `{"errcode":"M_UNKNOWN_TOKEN"}`}
	for name, c := range map[string]struct {
		deactivation, barred, unhurried, dead bool
		bound                                 bool
		says                                  []answered
		sent                                  []string // whom it was told to call
		status                                int      // 0: an error
	}{
		"it is done":                          {bound: true, says: []answered{done}, sent: []string{server}, status: 200},
		"nothing is bound":                    {says: []answered{done}, sent: []string{""}, status: 200},
		"nothing is bound, and it fails":      {says: []answered{failed, done}, sent: []string{"", us}, status: 200},
		"nothing is bound, and none answers":  {says: []answered{none}, sent: []string{""}},
		"it fails":                            {bound: true, says: []answered{failed, done}, sent: []string{server, us}, status: 200},
		"it fails twice":                      {bound: true, says: []answered{failed, failed}, sent: []string{server, us}, status: 500},
		"it refuses":                          {bound: true, says: []answered{heldUp}, sent: []string{server}, status: 400},
		"none answers":                        {bound: true, says: []answered{none, done}, sent: []string{server, us}, status: 200},
		"none answers twice":                  {bound: true, says: []answered{none, none}, sent: []string{server, us}},
		"none answers, then it is gone":       {bound: true, says: []answered{none, gone}, sent: []string{server, us}, status: 401},
		"the server is dead":                  {bound: true, dead: true, says: []answered{failed}, sent: []string{us}, status: 500},
		"the server is dead, none answers":    {bound: true, dead: true, says: []answered{none}, sent: []string{us}},
		"it is barred":                        {bound: true, barred: true, says: []answered{failed}, sent: []string{us}, status: 500},
		"nobody hurries":                      {bound: true, unhurried: true, says: []answered{done}, sent: []string{""}, status: 200},
		"account: it fails":                   {deactivation: true, bound: true, says: []answered{failed}, sent: []string{server}, status: 500},
		"account: it is held up":              {deactivation: true, bound: true, says: []answered{heldUp, done}, sent: []string{server, us}, status: 200},
		"account: held up, then gone":         {deactivation: true, bound: true, says: []answered{heldUp, gone}, sent: []string{server, us}, status: 401},
		"account: it refuses":                 {deactivation: true, bound: true, says: []answered{{400, `{"errcode":"M_FORBIDDEN"}`}}, sent: []string{server}, status: 400},
		"account: it refuses with our code":   {deactivation: true, bound: true, says: []answered{{403, `{"errcode":"M_UNKNOWN"}`}}, sent: []string{server}, status: 403},
		"account: none answers, then gone":    {deactivation: true, bound: true, says: []answered{none, gone}, sent: []string{server, us}, status: 200},
		"account: none answers, then refused": {deactivation: true, bound: true, says: []answered{none, {401, `{"errcode":"M_FORBIDDEN"}`}}, sent: []string{server, us}, status: 401},
		"account: none answers, then odd":     {deactivation: true, bound: true, says: []answered{none, {403, `{"errcode":"M_UNKNOWN_TOKEN"}`}}, sent: []string{server, us}, status: 403},
		"account: none answers twice":         {deactivation: true, bound: true, says: []answered{none, none}, sent: []string{server, us}},
	} {
		r := newRig(t)
		if r.ids.Start(server, "1", "s", "email", "alice@x.org"); c.dead {
			r.ids.Kill(server)
		}
		wd := &Withdrawal{face: r.face, user: alice, deactivation: c.deactivation, unhurried: c.unhurried}
		if c.bound {
			wd.targets = []verification.Binding{at(server, "1", r.now())}
		}
		if c.barred {
			wd.bar()
		}
		var sent []string
		next := func(w http.ResponseWriter, req *http.Request) error {
			raw, err := wire.ReadBody(w, req, 1<<20)
			if err != nil {
				return err
			}
			called, _, _ := mustRead(t, raw).Text("id_server")
			sent = append(sent, called)
			says := c.says[min(len(sent), len(c.says))-1]
			if says.status == 0 {
				return wire.ErrNoAnswer
			}
			w.WriteHeader(says.status)
			_, err = io.WriteString(w, says.body)
			return err
		}
		answer, err := wd.Send(&wire.Call{R: httptest.NewRequest("POST", "/_matrix/client/v3/account/3pid/delete", http.NoBody), Next: next}, "/_matrix/client/v3/account/3pid/delete", wire.Object{"id_server": wire.Encoded("named")})
		status := 0
		if err == nil {
			status = answer.Status
		}
		if status != c.status || (err != nil) != (c.status == 0) || !slices.Equal(sent, c.sent) {
			t.Errorf("%s: got %d (%v) after %q, want %d after %q", name, status, err, sent, c.status, c.sent)
		}
	}
}

// TestWithdrawal_WhatBecomesOfTheBindings: what the homeserver says it has ended is
// forgotten where it can have ended it, the rest is ended by us, and the client is told.
func TestWithdrawal_WhatBecomesOfTheBindings(t *testing.T) {
	const one, two = "one.example.org", "two.example.org"
	for name, c := range map[string]struct {
		says           string
		signer         string
		barred, forget bool
		targets        []verification.Binding
		alive          []string // servers that still have the session
		result         string
		calls          []string
		left           int
	}{
		"nothing is bound, it says nothing": {says: `{}`, result: "none"},
		"nothing is bound, it says so":      {says: `{"id_server_unbind_result":"no-support"}`, result: "no-support"},
		"nothing is bound that we know of":  {says: `{"id_server_unbind_result":"success"}`, result: "success"},
		"it was barred":                     {says: `{"id_server_unbind_result":"success"}`, barred: true, result: "no-support"},
		"it says something else":            {says: `{"id_server_unbind_result":"maybe"}`, result: "none"},
		"it says no text":                   {says: `{"id_server_unbind_result":5}`, result: "none"},
		"it is no JSON":                     {says: `<html>`, result: "none"},
		"it has ended it": {
			says: `{"id_server_unbind_result":"success"}`, signer: one, targets: []verification.Binding{at(one, "1", time.Time{})}, result: "success",
		},
		"it has ended one of two": {
			says: `{"id_server_unbind_result":"success"}`, signer: one, alive: []string{two},
			targets: []verification.Binding{at(one, "1", time.Time{}), at(two, "1", time.Time{})}, result: "success", calls: []string{"unbind " + two},
		},
		"it was never sent there": {
			says: `{"id_server_unbind_result":"success"}`, alive: []string{one}, targets: []verification.Binding{at(one, "1", time.Time{})}, result: "success", calls: []string{"unbind " + one},
		},
		"it was barred, and we end it": {
			says: `{"id_server_unbind_result":"success"}`, barred: true, alive: []string{one}, targets: []verification.Binding{at(one, "1", time.Time{})}, result: "success", calls: []string{"unbind " + one},
		},
		"it cannot, and nor can we": {
			says: `{"id_server_unbind_result":"no-support"}`, signer: one, targets: []verification.Binding{at(one, "1", time.Time{})}, result: "no-support", calls: []string{"unbind " + one}, left: 1,
		},
		"it is dead, and the account gone": {
			says: `{}`, forget: true, targets: []verification.Binding{at(one, "1", time.Time{}), at(two, "", time.Time{})}, result: "no-support", calls: []string{"unbind " + one},
		},
		"not its own to end": {
			says: `{"id_server_unbind_result":"success"}`, signer: one, alive: []string{one}, targets: []verification.Binding{at(one, "other", time.Time{})}, result: "success", calls: []string{"unbind " + one},
		},
		"without a proof it is its own": {
			says: `{"id_server_unbind_result":"success"}`, signer: one, targets: []verification.Binding{at(one, "", time.Time{})}, result: "success",
		},
	} {
		r := newRig(t)
		for _, server := range c.alive {
			r.ids.Start(server, "1", "s", "email", "alice@x.org")
			r.ids.Start(server, "other", "s", "email", "alice@x.org")
		}
		for _, b := range c.targets {
			if err := r.svc.Bind(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		wd := &Withdrawal{face: r.face, user: alice, targets: c.targets, signer: c.signer, signed: func(b verification.Binding) bool { return b.SID == "1" }}
		if c.barred {
			wd.bar()
		}
		answer := &wire.Answer{Status: 200}
		answer.Header().Set("Content-Type", "text/html")
		answer.Header().Set("Content-Encoding", "gzip")
		answer.Body.WriteString(c.says)
		result := wd.Settle(t.Context(), answer, "none", c.forget)
		told, _, _ := mustRead(t, answer.Body.Bytes()).Text("id_server_unbind_result")
		if result != c.result || told != c.result {
			t.Errorf("%s: got %q, and the client is told %s, want %q", name, result, answer.Body.String(), c.result)
		}
		if h := answer.Header(); h.Get("Content-Type") != "application/json" || h.Get("Content-Encoding") != "" {
			t.Errorf("%s: got headers %v", name, h)
		}
		if got := r.ids.Made(); !slices.Equal(got, c.calls) {
			t.Errorf("%s: asked were %q, want %q", name, got, c.calls)
		}
		r.wantBindings(t, c.left)
	}
}

// slowServers are identity servers that take a second, or hang.
type slowServers struct {
	IdentityServers
	takes time.Duration
	asked chan context.Context
}

func (s slowServers) Unbind(ctx context.Context, _ outbound.Name, _ identityserver.Unbind) error {
	s.asked <- ctx
	select {
	case <-time.After(s.takes):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestWithdrawal_ManyServers are asked side by side, eight at once, and none for longer
// than twenty seconds.
func TestWithdrawal_ManyServers(t *testing.T) {
	for _, c := range []struct {
		servers     int
		takes, want time.Duration
		result      string
	}{
		{8, time.Second, time.Second, "success"}, {17, time.Second, 3 * time.Second, "success"}, {1, time.Hour, 20 * time.Second, "no-support"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			asked := make(chan context.Context, 2*c.servers)
			r.face.Servers = slowServers{r.ids, c.takes, asked}
			many := func() *Withdrawal {
				wd := &Withdrawal{face: r.face, user: alice, signed: func(verification.Binding) bool { return true }}
				for i := range c.servers {
					wd.targets = append(wd.targets, at(fmt.Sprintf("s%d.example.org", i), "1", time.Time{}))
				}
				return wd
			}
			gone, leave := context.WithCancel(t.Context())
			leave() // the client is not there any more
			start := time.Now()
			answer := &wire.Answer{Status: 200}
			if got := many().Settle(gone, answer, "none", false); got != c.result || time.Since(start) != c.want {
				t.Errorf("%d servers: got %q after %s, want %q after %s", c.servers, got, time.Since(start), c.result, c.want)
			}
			start = time.Now()
			req := httptest.NewRequest("POST", "/_matrix/client/v3/account/3pid/unbind", http.NoBody).WithContext(gone)
			_, err := r.face.unbindHere(&wire.Call{W: httptest.NewRecorder(), R: req}, many(), unbindRequest{})
			if (err == nil) != (c.result == "success") || time.Since(start) != c.want {
				t.Errorf("%d servers, by themselves: got %v after %s, want %s", c.servers, err, time.Since(start), c.want)
			}
			if last := r.changes[len(r.changes)-1]; (last.Err == nil) != (c.result == "success") || last.Result != c.result {
				t.Errorf("%d servers: reported was %+v", c.servers, last)
			}
			for range 2 * c.servers {
				if ctx := <-asked; ctx.Err() == nil {
					t.Errorf("%d servers: one is asked still", c.servers)
				}
			}
		})
	}
}

// TestWithdrawal_WhatIsHopeless is answered as what cannot be helped, anything else as a
// failure that one may try again after.
func TestWithdrawal_WhatIsHopeless(t *testing.T) {
	r := newRig(t)
	fresh := []verification.Binding{at("id.example.org", "1", r.now())}
	old := append(fresh, at("id.example.org", "1", r.now().Add(-verification.MaxLifetime)))
	for _, c := range []struct {
		err        error
		fresh, old bool
	}{
		{nil, false, false},
		{fmt.Errorf("unbind: %w", identityserver.ErrUnsupported), true, true},
		{errNoProof, true, true},
		{identityserver.ErrUnavailable, false, false},
		{idservers.Refused(429, "M_LIMIT_EXCEEDED"), false, false},
		{idservers.Refused(400, "M_UNKNOWN"), true, true},
		{idservers.Refused(499, "M_UNKNOWN"), true, true},
		{idservers.Refused(500, "M_UNKNOWN"), false, true},
		{idservers.Refused(503, "M_UNKNOWN"), false, true},
	} {
		for targets, want := range map[*[]verification.Binding]bool{&fresh: c.fresh, &old: c.old} {
			if got := (&Withdrawal{face: r.face, targets: *targets}).hopeless(c.err); got != want {
				t.Errorf("%v, of %d bindings: hopeless %v, want %v", c.err, len(*targets), got, want)
			}
		}
	}
}

// TestWithdrawal_SpellingsOfWhatIsBound: that of a binding, if one has its own.
func TestWithdrawal_SpellingsOfWhatIsBound(t *testing.T) {
	plain, odd := at("one.example.org", "1", time.Time{}), at("two.example.org", "1", time.Time{})
	odd.Validated = "Alice@X.org"
	for want, targets := range map[string][]verification.Binding{"alice@x.org": {plain}, "Alice@X.org": {plain, odd}} {
		if got := (unbindRequest{ThreePID: threepid.ThreePID{Address: "alice@x.org"}}).spelledAs(targets); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestWithdrawal_AddressesOfServers: a number is one in each form that a name may have.
func TestWithdrawal_AddressesOfServers(t *testing.T) {
	for name, want := range map[string]bool{
		"127.0.0.1": true, "10.0.0.1:8090": true, "[::1]": true, "[fe80::1]:444": true, "id.example.org": false, "id.example.org:8090": false, "127.0.0.1.example.org": false,
	} {
		if got := isAddress(name); got != want {
			t.Errorf("%s is an address: %v, want %v", name, got, want)
		}
	}
}

// TestWithdrawal_AServerWithoutAName is not asked.
func TestWithdrawal_AServerWithoutAName(t *testing.T) {
	r := newRig(t)
	if err := r.face.unbindAt(t.Context(), at("no name", "1", time.Time{})); err == nil || len(r.ids.Made()) != 0 {
		t.Errorf("got %v after %q", err, r.ids.Made())
	}
}

// hangingStore is a store that writes nothing until nobody waits for it.
type hangingStore struct{ store.Store }

func (hangingStore) Update(ctx context.Context, _ store.Partition, _ func(store.Txn) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestWithdrawal_WhatHasEndedIsWrittenDown: a quarter of a minute is waited for that, whether
// or not the client is there, and no longer.
func TestWithdrawal_WhatHasEndedIsWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigOver(t, func(s store.Store) store.Store { return hangingStore{s} })
		gone, leave := context.WithCancel(t.Context())
		leave()
		wd := &Withdrawal{face: r.face, user: alice, targets: []verification.Binding{at("id.example.org", "1", time.Time{})}}
		start := time.Now()
		if wd.done(gone, func(verification.Binding) bool { return true }); time.Since(start) != 15*time.Second {
			t.Errorf("waited for %s, want 15 s", time.Since(start))
		}
	})
}
