// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// completions are requests by which the homeserver is to act, each with all that it takes
// in place: their paths and bodies.
var completions = map[string]func(c *chaos) (tail, body string, err error){
	"register": func(c *chaos) (string, string, error) {
		sid, secret, err := c.prove("register", c.address("new"))
		return "register", c.registration(sid, secret, "new"), err
	},
	"reset": func(c *chaos) (string, string, error) {
		sid, secret, err := c.prove("account/password", "alice@example.org")
		return "account/password", resetBody(sid, secret), err
	},
	"reset, as the account has it spelled": func(c *chaos) (string, string, error) {
		c.getsMeanwhile("alice", "me@bücher.example")
		sid, secret, err := c.prove("account/password", "me@xn--bcher-kva.example")
		return "account/password", resetBody(sid, secret), err
	},
	"add the old way": func(c *chaos) (string, string, error) {
		sid, secret, err := c.prove("account/3pid", c.address("added"))
		return "account/3pid", oldCreds(sid, secret), err
	},
	"add what the account has, in another spelling": func(c *chaos) (string, string, error) {
		sid, secret, err := c.prove("account/3pid", "me@xn--bcher-kva.example")
		c.getsMeanwhile("bob", "me@bücher.example")
		return "account/3pid", oldCreds(sid, secret), err
	},
	"add, with the password": func(c *chaos) (string, string, error) {
		sid, secret, err := c.prove("account/3pid", c.address("added"))
		return "account/3pid/add", addBodyOf(sid, secret, "bob's"), err
	},
	"add, with a mail for the password": func(c *chaos) (string, string, error) {
		sid, secret, proof, proofSecret, err := c.proveBoth("added", "bob@example.org")
		return "account/3pid/add", mailProof(sid, secret, proof, proofSecret), err
	},
}

// TestNothingIsDoneAfterAFault: what cannot be read or written down before the homeserver
// is asked to act is the end of the request, whatever the store says of it: a limit that
// is not counted, a proof whose use is not noted, a spelling that is not kept.
func TestNothingIsDoneAfterAFault(t *testing.T) {
	t.Parallel()
	acting := []string{"/register", "/account/password", "/account/3pid"}
	for name, prepare := range completions {
		for _, kind := range []error{errDisk, storetest.OfEveryKind(errDisk)} {
			for n, over := 1, false; !over; n++ {
				c := newChaos(t, false, func(vc *verification.Config) { vc.User = ratelimit.Limit{Burst: 10, Per: time.Hour} })
				tail, body, err := prepare(c)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				asked, hs := false, c.rig.next
				c.rig.next = func(w http.ResponseWriter, r *http.Request) error {
					acts := slices.ContainsFunc(acting, func(path string) bool { return strings.HasSuffix(r.URL.Path, path) })
					if asked = asked || acts && r.Method == http.MethodPost; asked && c.disk.Broke() != "" {
						t.Errorf("%s: %s failed, and %s is asked for all the same", name, c.disk.Broke(), r.URL.Path)
					}
					return hs(w, r)
				}
				c.disk.Err = kind
				c.disk.Arm(n)
				c.once("POST", clientPath+tail, body, "Authorization", "Bearer "+c.token)
				if over = asked; over && n < 3 {
					t.Errorf("%s: the homeserver is asked after %d operations: nothing is tested", name, n)
				}
			}
		}
	}
}
