// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/idservers"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// oddServer is an identity server that binds what is typed and says little, or nothing
// for as long as it is waited for.
type oddServer struct {
	*idservers.Servers
	hangs bool
	ended error
}

func (s *oddServer) Bind(ctx context.Context, _ outbound.Name, _ threepid.IDAccessToken, _ identityserver.Bind) (identityserver.Bound, error) {
	if s.hangs {
		<-ctx.Done()
		s.ended = ctx.Err()
		return identityserver.Bound{}, identityserver.ErrUnavailable
	}
	return identityserver.Bound{Medium: "email", Address: "Alice@Lookup.org"}, nil
}

func (s *oddServer) Proven(context.Context, outbound.Name, threepid.IDAccessToken, threepid.SID, threepid.ClientSecret) (identityserver.Bound, error) {
	return identityserver.Bound{}, identityserver.ErrUnavailable
}

// TestBindRecordsWhatItWasTold: the spelling that the server has bound, if it does not
// say what was validated.
func TestBindRecordsWhatItWasTold(t *testing.T) {
	r, token := aliceAt(t, "id.example.org")
	r.client.bindings.Servers = &oddServer{Servers: r.ids}
	wantStatus(t, r.as(token, "POST", bindPath, bindBody("id.example.org", "1", "s")), http.StatusOK)
	list, err := r.svc.Bindings(t.Context(), alice)
	if err != nil || len(list) != 1 || list[0].Address != "alice@lookup.org" || list[0].Validated != "Alice@Lookup.org" {
		t.Errorf("got %+v, %v", list, err)
	}
	want := []report.Change{{Action: "bound", User: r.svc.Pseudonym(alice), Medium: "email", Address: r.svc.Pseudonym("alice@lookup.org"), IDServer: "id.example.org"}}
	if !reflect.DeepEqual(r.events.changes, want) {
		t.Errorf("got changes %+v, want %+v", r.events.changes, want)
	}
}

// TestBindIsNotLeftHalfDone: a client that hangs up does not end it, and nothing goes on
// for ever.
func TestBindIsNotLeftHalfDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, token := aliceAt(t, "id.example.org")
		odd := &oddServer{Servers: r.ids, hangs: true}
		r.client.bindings.Servers = odd
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req := httptest.NewRequest("POST", bindPath, strings.NewReader(bindBody("id.example.org", "1", "s"))).WithContext(ctx)
		req.Header.Set("Authorization", "Bearer "+token)
		begun := time.Now()
		wantError(t, r.send(req), http.StatusBadGateway, "M_UNKNOWN")
		if took := time.Since(begun); took != 30*time.Second || !errors.Is(odd.ended, context.DeadlineExceeded) {
			t.Errorf("it was waited for %v: %v", took, odd.ended)
		}
	})
}

// TestBindBodiesAtTheirBounds: what is given twice and alike is given once, and the
// longest session is one.
func TestBindBodiesAtTheirBounds(t *testing.T) {
	flat := bindBody("id.example.org", "abc123987", "d0nt-T3ll")
	r, token := aliceAt(t, "id.example.org")
	wantStatus(t, r.as(token, "POST", bindPath, `{"three_pid_creds":`+flat+`,"sid":"abc123987","threePidCreds":null}`), http.StatusOK)
	wantError(t, r.as(token, "POST", bindPath, bindBody("id.example.org", strings.Repeat("s", 255), "s")), http.StatusNotFound, "M_NO_VALID_SESSION")
	for body, want := range map[string]string{
		`{"threePidCreds":[]}`:                           "'threePidCreds' must be an object",
		`{"three_pid_creds":` + flat + `,"sid":"other"}`: "'sid' is given twice",
	} {
		if got := decoded(t, r.as(token, "POST", bindPath, body))["error"]; got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
	for _, path := range []string{bindPath, unbindPath, addPath, deactivatePath} {
		for _, fill := range []string{" ", "x"} { // what may become an object is looked at before, what is none is not
			wantError(t, r.as(token, "POST", path, strings.Repeat(fill, DefaultMaxBody+1)), http.StatusRequestEntityTooLarge, "M_TOO_LARGE")
		}
	}
	if got := r.as(token, "GET", bindPath, "").Header().Get("Allow"); got != "POST, OPTIONS" {
		t.Errorf("got Allow %q", got)
	}
}

// TestDeactivationIsReported, with what has become of the bindings, and without asking
// for what nobody needs to know.
func TestDeactivationIsReported(t *testing.T) {
	for withBinding, result := range map[bool]string{true: "success", false: "no-support"} {
		r, token := bound(t, "id.example.org")
		if !withBinding {
			r.as(token, "POST", unbindPath, ofAlice(""))
		}
		r.events.changes = nil
		r.hs.ResetRecordings()
		wantStatus(t, r.as(token, "POST", deactivatePath, deactivation("")), http.StatusOK)
		want := []report.Change{{Action: "deactivated", User: r.svc.Pseudonym(alice), Result: result}}
		if !reflect.DeepEqual(r.events.changes, want) {
			t.Errorf("got changes %+v, want %+v", r.events.changes, want)
		}
		var asked []string
		for _, req := range r.hs.Requests() {
			asked = append(asked, req.Method+" "+strings.TrimPrefix(req.Path, "/_matrix/client/r0/account/"))
		}
		wantAsked := []string{"GET whoami", "GET 3pid", "POST deactivate"}
		if !withBinding {
			wantAsked = slices.Delete(wantAsked, 1, 2)
		}
		if !slices.Equal(asked, wantAsked) {
			t.Errorf("binding %v: the homeserver was asked %q, want %q", withBinding, asked, wantAsked)
		}
	}
}

// TestDeactivationOfSomebodyUnknown goes on as it came, without a server to call.
func TestDeactivationOfSomebodyUnknown(t *testing.T) {
	for _, c := range []struct{ method, body, want string }{
		{"POST", `{"id_server":"127.0.0.1:9000","erase":true}`, `{"erase":true}`},
		{"POST", ``, ``},
		{"PUT", `{"id_server":"x","erase":true}`, `{"erase":true}`},
	} {
		r := newRig(t, options{})
		var header []string
		if c.method == "PUT" {
			header = []string{"Authorization", "Bearer t"}
		}
		r.do(c.method, deactivatePath, c.body, header...)
		if got := r.hs.Requests(); len(got) != 1 || string(got[0].Body) != c.want || got[0].Path != "/_matrix/client/r0/account/deactivate" {
			t.Errorf("%s %s: the homeserver saw %d requests: %s", c.method, c.body, len(got), bodies(got))
		}
	}
}

// TestDeactivationNeedsTheStore: without it nobody knows which bindings would be left.
func TestDeactivationNeedsTheStore(t *testing.T) {
	everyFault(t, options{}, func(r *rig) { r.hs.AddUser("alice", "secret") }, func(r *rig, broke string) *httptest.ResponseRecorder {
		token := r.login("alice", "secret")
		rec := r.as(token, "POST", deactivatePath, deactivation(""))
		if rec.Code != http.StatusOK && r.hs.HasUser("alice") == false {
			t.Errorf("%s: it is done, and the client is told %d %s", broke, rec.Code, rec.Body)
		}
		return rec
	})
}

// TestDeactivationAtAServerThatIsNamed: one that the homeserver has bound by itself is told
// by its signature, and an address inside is refused.
func TestDeactivationAtAServerThatIsNamed(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	r.ids.Start("other.example.org", "1", "s", "email", "alice@x.org")
	r.ids.Bound["other.example.org email alice@x.org"] = alice
	r.ids.Private["127.0.0.1"] = true
	token := r.login("alice", "secret")
	wantError(t, r.as(token, "POST", deactivatePath, deactivation(`,"id_server":"127.0.0.1"`)), http.StatusBadRequest, "M_SERVER_NOT_TRUSTED")
	if !r.hs.HasUser("alice") {
		t.Error("the account is gone")
	}
	wantStatus(t, r.as(token, "POST", deactivatePath, deactivation(`,"id_server":"other.example.org"`)), http.StatusOK)
	if got := r.ids.Owner("other.example.org", "email", "alice@x.org"); got != "" || !slices.Contains(r.ids.Made(), "signed unbind other.example.org") {
		t.Errorf("the address is bound to %q after %q", got, r.ids.Made())
	}
}
