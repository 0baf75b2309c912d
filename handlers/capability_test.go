// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// knowing is a homeserver that answers for each version of a path.
type knowing struct {
	answers map[string]wire.Next
	asked   []string
}

func (k *knowing) next(w http.ResponseWriter, r *http.Request) error {
	_, version, _ := strings.Cut(r.URL.Path, "/client/")
	version, _, _ = strings.Cut(version, "/")
	k.asked = append(k.asked, version)
	return k.answers[version](w, r)
}

// TestWhatAHomeserverHas: under which version, if any, and whether that is sure.
func TestWhatAHomeserverHas(t *testing.T) {
	has, none := upstream(401, `{"errcode":"M_MISSING_TOKEN"}`), upstream(404, `{"errcode":"M_UNRECOGNIZED"}`)
	page, down := upstream(404, `<html>`), func(http.ResponseWriter, *http.Request) error { return errDisk }
	for name, c := range map[string]struct {
		r0, unstable wire.Next
		version      string
		fails, sure  bool
		asked        []string
	}{
		"as of today":                 {has, has, "r0", false, true, []string{"r0"}},
		"as of 1.4":                   {none, has, "unstable", false, true, []string{"r0", "unstable"}},
		"a page, and then an answer":  {page, has, "unstable", false, true, []string{"r0", "unstable"}},
		"not at all":                  {none, none, "", false, true, []string{"r0", "unstable"}},
		"a page first":                {page, none, "", false, false, []string{"r0", "unstable"}},
		"a page last":                 {none, page, "", false, false, []string{"r0", "unstable"}},
		"of old":                      {upstream(400, `{"errcode":"M_UNRECOGNIZED"}`), upstream(405, `{"errcode":"M_UNRECOGNIZED"}`), "", false, true, []string{"r0", "unstable"}},
		"another method's page":       {none, upstream(405, ``), "", false, false, []string{"r0", "unstable"}},
		"it says so, and fails":       {upstream(500, `{"errcode":"M_UNRECOGNIZED"}`), none, "", false, false, []string{"r0", "unstable"}},
		"it grants what nobody may":   {upstream(200, `{}`), has, "", true, false, []string{"r0"}},
		"it refuses without a reason": {upstream(403, `<html>`), has, "", true, false, []string{"r0"}},
		"it has had too much":         {upstream(429, `{"errcode":"M_LIMIT_EXCEEDED"}`), has, "", true, false, []string{"r0"}},
		"it fails":                    {upstream(500, `{"errcode":"M_UNKNOWN"}`), has, "", true, false, []string{"r0"}},
		"it is down":                  {down, has, "", true, false, []string{"r0"}},
		"it fails at the second":      {none, upstream(502, ``), "", true, false, []string{"r0", "unstable"}},
		"it is down at the second":    {none, down, "", true, false, []string{"r0", "unstable"}},
	} {
		k := &knowing{answers: map[string]wire.Next{"r0": c.r0, "unstable": c.unstable}}
		r, req := newRig(t, options{}), mustRequest(t, "POST", addPath)
		version, sure, err := r.client.hs.Find(&wire.Call{R: req, Next: k.next}, route.TailAdd)
		if version != c.version || sure != c.sure || (err != nil) != c.fails || !slices.Equal(k.asked, c.asked) {
			t.Errorf("%s: got %q, %v, %v, asked %q, want %+v", name, version, sure, err, k.asked, c)
		}
		if err != nil && wire.ErrorOf(err).Status != http.StatusBadGateway {
			t.Errorf("%s: the client is told %v", name, wire.ErrorOf(err))
		}
		k.asked = nil
		lacks, err := r.client.hs.Lacks(&wire.Call{R: req, Next: k.next}, route.TailAdd)
		if remembered := len(k.asked) == 0; remembered != c.sure {
			t.Errorf("%s: it is remembered: %v", name, remembered)
		}
		if (err == nil) != c.sure || c.sure && lacks != (c.version == "") || !c.sure && errors.Is(err, hsapi.ErrUnsure) == c.fails {
			t.Errorf("%s: it is lacking: %v, %v", name, lacks, err)
		}
	}
}

// TestWhatAHomeserverHasIsKnownForAWhile, for each endpoint by itself.
func TestWhatAHomeserverHasIsKnownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &knowing{answers: map[string]wire.Next{"r0": upstream(401, `{"errcode":"M_MISSING_TOKEN"}`)}}
		r, req := newRig(t, options{}), mustRequest(t, "POST", addPath)
		for i, c := range []struct {
			wait  time.Duration
			tail  string
			asked int
		}{{0, route.TailAdd, 1}, {10*time.Minute - 1, route.TailAdd, 1}, {0, "account/3pid/unbind", 2}, {1, route.TailAdd, 3}, {10 * time.Minute, route.TailAdd, 4}} {
			time.Sleep(c.wait)
			if version, err := r.client.hs.Has(&wire.Call{R: req, Next: k.next}, c.tail); version != "r0" || err != nil || len(k.asked) != c.asked {
				t.Errorf("%d: got %q, %v, and the homeserver was asked %d times, want %d", i, version, err, len(k.asked), c.asked)
			}
		}
	})
}

// TestAddWhereItIsUnstable: the request goes where the homeserver has the endpoint.
func TestAddWhereItIsUnstable(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret")
	token, legacy, added := r.login("alice", "secret"), r.next, ""
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		switch {
		case !strings.HasSuffix(req.URL.Path, route.TailAdd):
			return legacy(w, req)
		case !strings.Contains(req.URL.Path, "/unstable/"):
			return upstream(404, `{"errcode":"M_UNRECOGNIZED"}`)(w, req)
		case req.Header.Get("Authorization") == "":
			return upstream(401, `{"errcode":"M_MISSING_TOKEN"}`)(w, req)
		}
		added += req.URL.Path
		return upstream(200, `{}`)(w, req)
	}
	sid := r.validated("account/3pid", "c", "new@x.org")
	wantStatus(t, r.as(token, "POST", addPath, strings.Replace(addBody(sid, "c", ""), "client_secret", "clientSecret", 1)), http.StatusOK)
	if want := "/_matrix/client/unstable/account/3pid/add"; added != want {
		t.Errorf("it was added at %q, want %s", added, want)
	}
}
