// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/sydent"
)

// lookup is the identity server that users choose, and what it takes that it
// and the homeservers find and trust each other.
var lookup identityServers

type identityServers struct {
	authority *certs.Authority
	caFile    string
	env       sydent.Env
	server    *sydent.Server
	inbox     *smtptest.Server
	// mortal is the name of a second one, for tests that kill it.
	mortal     string
	one        sync.Mutex
	mortalPort int
	dir        string
	stops      []func()
}

func (s *identityServers) stop() {
	for _, stop := range slices.Backward(s.stops) {
		stop()
	}
}

func startIdentityServers(ctx context.Context, dir string) (err error) {
	defer func() {
		if err != nil {
			lookup.stop()
		}
	}()
	lookup.dir = dir
	if lookup.env, err = sydent.Install(ctx, logf); err != nil {
		return err
	}
	if lookup.authority, err = certs.New(); err != nil {
		return err
	}
	lookup.caFile = filepath.Join(dir, "authority.pem")
	if err := os.WriteFile(lookup.caFile, lookup.authority.PEM(), 0o600); err != nil {
		return err
	}
	if lookup.inbox, err = smtptest.Start(smtptest.Options{Mode: smtptest.Plain}); err != nil {
		return err
	}
	lookup.stops = append(lookup.stops, func() { _ = lookup.inbox.Close() })
	ports, err := freeport.Take(1)
	if err != nil {
		return err
	}
	lookup.mortalPort = ports[0]
	lookup.mortal = fmt.Sprintf("localhost:%d", ports[0])
	logf("starting Sydent")
	if lookup.server, err = lookup.start(ctx, "sydent", 0); err != nil {
		return err
	}
	lookup.stops = append(lookup.stops, lookup.server.Stop)
	return nil
}

func (s *identityServers) start(ctx context.Context, name string, port int) (*sydent.Server, error) {
	return sydent.Start(ctx, s.env, sydent.Options{
		Dir: filepath.Join(s.dir, name), Port: port, Authority: s.authority, SMTPAddr: s.inbox.Addr(), CAFiles: []string{s.caFile},
	})
}

// tenant is a user with an account at an identity server.
type tenant struct {
	*world
	is            *sydent.Server
	name, mxid    string
	access, token string // at the homeserver, at the identity server
}

// tenant makes an account with an address, and one at an identity server, the
// way that clients do: by an OpenID token of the homeserver.
func (w *world) tenant(is *sydent.Server, name, email string) *tenant {
	w.t.Helper()
	w.register(name, email)
	u := &tenant{world: w, is: is, name: name, mxid: "@" + name + ":" + w.s.ServerName}
	u.access = w.login(name, password)
	openID := w.want(w.must(w.c.Do(w.t.Context(), "POST", "/_matrix/client/r0/user/"+u.mxid+"/openid/request_token", u.access, stack.Object{})), http.StatusOK)
	token, err := is.Register(w.t.Context(), json.RawMessage(openID.Body))
	if err != nil {
		w.t.Fatalf("account at the identity server: %v", err)
	}
	u.token = token
	return u
}

// session validates an address at the identity server itself.
func (u *tenant) session(email string) sydent.Session {
	u.t.Helper()
	s, err := u.is.Validate(u.t.Context(), u.token, email, lookup.inbox)
	if err != nil {
		u.t.Fatalf("validate at the identity server: %v", err)
	}
	return s
}

func (u *tenant) post(path string, body stack.Object) stack.Answer {
	u.t.Helper()
	return u.must(u.c.Do(u.t.Context(), "POST", "/_matrix/client/v3/account/"+path, u.access, body))
}

func (u *tenant) bind(s sydent.Session) stack.Answer {
	u.t.Helper()
	return u.post("3pid/bind", stack.Object{
		"id_server": u.is.Name(), "id_access_token": u.token, "sid": s.SID, "client_secret": s.ClientSecret,
	})
}

// bound validates and binds an address.
func (u *tenant) bound(email string) {
	u.t.Helper()
	u.want(u.bind(u.session(email)), http.StatusOK)
	u.wantFound(email, u.mxid)
}

// wantFound looks an address up at the identity server.
func (u *tenant) wantFound(email, mxid string) {
	u.t.Helper()
	got, err := u.is.Lookup(u.t.Context(), u.token, "email", email)
	if err != nil {
		u.t.Fatalf("look up: %v", err)
	}
	if got != mxid {
		u.t.Errorf("the address is bound to %q, want %q", got, mxid)
	}
}

func (u *tenant) wantResult(a stack.Answer, want string) {
	u.t.Helper()
	if got := u.want(a, http.StatusOK).Text("id_server_unbind_result"); got != want {
		u.t.Errorf("got id_server_unbind_result %q, want %q", got, want)
	}
}

func threepid(email string) stack.Object { return stack.Object{"medium": "email", "address": email} }

// mortalServer is an identity server that the test may kill.
func mortalServer(t *testing.T) *sydent.Server {
	t.Helper()
	lookup.one.Lock() // there is one name for them
	t.Cleanup(lookup.one.Unlock)
	is, err := lookup.start(t.Context(), "mortal-"+unique("x"), lookup.mortalPort)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(is.Stop)
	return is
}
