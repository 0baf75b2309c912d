// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// registrant is somebody who registers at a site with two nodes, and whose
// requests go now to one, now to the other.
type registrant struct {
	*world
	name, email, session string
}

// begin asks a node for a registration.
func (w *world) begin(node int, prefix string) *registrant {
	w.t.Helper()
	r := &registrant{world: w, name: unique(prefix)}
	r.email = r.name + "@example.test"
	r.session = w.want(r.register(node, nil), http.StatusUnauthorized).Text("session")
	return r
}

// at is the client of a node.
func (w *world) at(node int) *stack.Client { return w.s.Nodes[node].Client() }

func (r *registrant) register(node int, auth stack.Object) stack.Answer {
	r.t.Helper()
	body := stack.Object{"username": r.name, "password": password}
	if auth != nil {
		body["auth"] = auth
	}
	return r.must(r.at(node).Do(r.t.Context(), "POST", "/_matrix/client/v3/register", "", body))
}

// solve solves the captcha on the page that a node shows.
func (r *registrant) solve(node int) {
	r.t.Helper()
	w := *r.world
	w.c = r.at(node)
	w.openPage("/_matrix/client/v3/auth/m.login.recaptcha/fallback/web?session="+url.QueryEscape(r.session), url.Values{"g-recaptcha-response": {"solved"}})
}

// goesOn polls a node, which has to know how far the conversation has come.
func (r *registrant) goesOn(node int) {
	r.t.Helper()
	a := r.want(r.register(node, stack.Object{"session": r.session}), http.StatusUnauthorized)
	if completed, _ := a.JSON["completed"].([]any); len(completed) != 1 || completed[0] != "m.login.recaptcha" || a.Text("session") != r.session {
		r.t.Fatalf("got %s, want the captcha completed in the conversation %s", a.Body, r.session)
	}
}

// ask asks a node for the mail.
func (r *registrant) ask(node int) (creds stack.Object) {
	r.t.Helper()
	a := r.want(r.must(r.at(node).RequestToken(r.t.Context(), "v3", "register", "s", r.email)), http.StatusOK)
	return stack.Creds(a.Text("sid"), "s")
}

// click confirms the address. The link leads to the node that sent the mail.
func (r *registrant) click(node int) {
	r.t.Helper()
	_, done, err := r.at(node).Click(r.t.Context(), r.link(r.email))
	r.want(r.must(done, err), http.StatusOK)
}

// finish shows a node the proof, and logs in at the other.
func (r *registrant) finish(node int, creds stack.Object) {
	r.t.Helper()
	r.want(r.register(node, stack.EmailAuth(r.session, creds)), http.StatusOK)
	r.want(r.must(r.at(1-node).Login(r.t.Context(), r.name, password)), http.StatusOK)
}

// TestNodes are two Caddys with one key file and nothing else in common, in front
// of one homeserver. What each does to a conversation, the other takes back, and
// what an operator does in the middle is not noticed.
//
//nolint:tparallel // what is done to a node would disturb the other tests of it
func TestNodes(t *testing.T) {
	t.Parallel()
	w := captchaStreet.site(t, 2, true)
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, w *world)
	}{
		{"there and back", thereAndBack},
		{"restart", restartInTheMiddle},
		{"reload", reloadInTheMiddle},
		{"rotation", rotationInTheMiddle},
		{"another endpoint", anotherEndpointThere},
	} {
		ok := t.Run(tc.name, func(t *testing.T) {
			each := *w
			each.t = t
			tc.run(t, &each)
		})
		if !ok {
			for i, n := range w.s.Nodes {
				t.Logf("the log of node %d, %s:\n%s", i, n.Identity, n.Caddy.Logs())
			}
		}
	}
}

// thereAndBack changes the node at every step that needs no store.
func thereAndBack(_ *testing.T, w *world) {
	for first := range 2 {
		r := w.begin(first, "two")
		r.solve(1 - first)
		r.goesOn(first)
		r.goesOn(1 - first)
		creds := r.ask(1 - first)
		r.click(1 - first)
		r.goesOn(first)
		r.finish(1-first, creds)
	}
}

// restartInTheMiddle restarts a node between all steps. What the name does not
// carry is in the store: the mail that waits for the captcha, and the proof.
func restartInTheMiddle(t *testing.T, w *world) {
	restart := func() {
		t.Helper()
		if err := w.s.Nodes[0].Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r := w.begin(0, "restart")
	creds := r.ask(0)
	restart()
	r.wantNoMail(r.email)
	r.solve(0)
	restart()
	r.goesOn(0)
	link := r.link(r.email) // the mail has gone out
	restart()
	_, done, err := r.at(0).Click(t.Context(), link)
	r.want(r.must(done, err), http.StatusOK)
	restart()
	r.finish(0, creds)
}

func reloadInTheMiddle(t *testing.T, w *world) {
	reload := func() {
		t.Helper()
		if err := w.s.Nodes[0].Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r := w.begin(0, "reload")
	reload()
	r.solve(0)
	reload()
	r.goesOn(0)
	creds := r.ask(0)
	r.click(0)
	reload()
	r.finish(0, creds)
}

// rotationInTheMiddle: a former key opens what it has sealed. A node that has not
// read the file again does not know the new one; the conversation then begins
// anew, and goes on at the node that has.
func rotationInTheMiddle(t *testing.T, w *world) {
	before := w.begin(0, "before")
	creds := before.ask(0)
	if err := w.s.Nodes[0].RotateKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	before.solve(0)
	before.goesOn(0)
	before.goesOn(1)

	after := w.begin(0, "after")
	after.solve(0)
	after.goesOn(0)
	a := w.want(after.register(1, stack.Object{"session": after.session}), http.StatusUnauthorized)
	if completed, _ := a.JSON["completed"].([]any); len(completed) != 0 || a.Text("session") == after.session {
		t.Errorf("got %s, want a conversation of its own", a.Body)
	}
	if err := w.s.Nodes[1].Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	after.goesOn(1)
	after.goesOn(0)
	proof := after.ask(1)
	after.click(1)
	after.finish(1, proof)

	before.goesOn(1)
	before.click(0)
	before.finish(0, creds)
}

// anotherEndpointThere: the other node is no way around.
func anotherEndpointThere(t *testing.T, w *world) {
	r := w.begin(0, "endpoint")
	r.solve(1)
	r.goesOn(1)
	a := w.want(w.must(w.at(1).Do(t.Context(), "POST", "/_matrix/client/v3/account/password", "", stack.Object{
		"new_password": "thief", "auth": stack.Object{"session": r.session},
	})), http.StatusUnauthorized)
	if completed, _ := a.JSON["completed"].([]any); len(completed) != 0 || a.Text("session") == r.session {
		t.Errorf("got %s, want a conversation of its own", a.Body)
	}
}
