// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// forgetful is a homeserver that does with a deletion what Dendrite does: it
// takes the address from whoever has it, if it is spelled as it stands in its
// list, and says nothing. list is what the caller has, forgotten what it was
// told to forget.
type forgetful struct {
	list      string // the JSON of the answer to GET /account/3pid
	status    int    // of that answer
	forgotten []string
}

func (f *forgetful) before(legacy wire.Next) wire.Next {
	return func(w http.ResponseWriter, req *http.Request) error {
		switch {
		case req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/account/3pid"):
			return upstream(f.status, f.list)(w, req)
		case !strings.HasSuffix(req.URL.Path, "/delete"):
			return legacy(w, req)
		}
		raw, err := wire.ReadBody(w, req, 1<<20)
		if err != nil {
			return err
		}
		f.forgotten = append(f.forgotten, string(raw))
		return upstream(200, `{}`)(w, req)
	}
}

const listOfMallory = `{"threepids":[{"medium":"email","address":"Mallory@X.org"},{"medium":"email","address":"mallory@x.org"},` +
	`{"medium":"msisdn","address":"447400123456"},{"medium":"email","address":"Ümlaut@x.org"}]}`

// TestOnlyOnesOwnAddressIsDeleted, and it is found in whatever spelling.
func TestOnlyOnesOwnAddressIsDeleted(t *testing.T) {
	for body, forwarded := range map[string]string{
		`{"medium":"email","address":"alice@x.org"}`:                      "",
		`{"medium":"email","address":"447400123456"}`:                     "",
		`{"medium":"msisdn","address":"mallory@x.org"}`:                   "",
		`{"medium":"email","address":"alice@x.org","mallory@x.org":true}`: "",
		`{"medium":"email","address":"mallory@x.org"}`:                    `{"address":"mallory@x.org","medium":"email"}`,
		`{"medium":"email","address":"Mallory@X.org","x":1}`:              `{"address":"Mallory@X.org","medium":"email"}`,
		`{"medium":"email","address":"MALLORY@x.org"}`:                    `{"address":"Mallory@X.org","medium":"email"}`,
		`{"medium":"msisdn","address":"+447400123456"}`:                   `{"address":"447400123456","medium":"msisdn"}`,
		`{"medium":"email","address":"\u00fcMLAUT@x.org"}`:                `{"address":"Ümlaut@x.org","medium":"email"}`,
	} {
		hs := &forgetful{list: listOfMallory, status: http.StatusOK}
		r := newRig(t, options{})
		r.next = hs.before(r.next)
		r.hs.AddUser("mallory", "secret")
		r.hs.AddUser("alice", "secret", "alice@x.org")
		rec := r.as(r.login("mallory", "secret"), "POST", deletePath, body)
		wantStatus(t, rec, http.StatusOK)
		wantCORS(t, rec)
		if got := decoded(t, rec)["id_server_unbind_result"]; got != "no-support" {
			t.Errorf("%s: got result %v, want no-support: nothing was bound", body, got)
		}
		var want []string
		if forwarded != "" {
			want = []string{forwarded}
		}
		if !slices.Equal(hs.forgotten, want) {
			t.Errorf("%s: the homeserver was told to forget %q, want %q", body, hs.forgotten, want)
		}
		deleted := slices.ContainsFunc(r.events.changes, func(c report.Change) bool { return c.Action == "deleted" })
		if deleted != (forwarded != "") {
			t.Errorf("%s: the audit log says %+v", body, r.events.changes)
		}
	}
}

// TestNothingIsDeletedWhileNobodySaysWhoseItIs: the answer is to try again, but
// for what the client has to know about itself.
func TestNothingIsDeletedWhileNobodySaysWhoseItIs(t *testing.T) {
	for _, c := range []struct {
		status  int
		list    string
		want    int
		errcode string
	}{
		{200, `{}`, 502, "M_UNKNOWN"},
		{200, `{"threepids":{}}`, 502, "M_UNKNOWN"},
		{200, `<html>`, 502, "M_UNKNOWN"},
		{404, `{"errcode":"M_UNRECOGNIZED","error":"x"}`, 502, "M_UNKNOWN"},
		{500, `{"errcode":"M_UNKNOWN","error":"disk full"}`, 502, "M_UNKNOWN"},
		{401, `{"errcode":"M_UNKNOWN_TOKEN","error":"x"}`, 401, "M_UNKNOWN_TOKEN"},
		{429, `{"errcode":"M_LIMIT_EXCEEDED","error":"x","retry_after_ms":5}`, 429, "M_LIMIT_EXCEEDED"},
		{403, `{"errcode":"M_CONSENT_NOT_GIVEN","error":"x"}`, 403, "M_CONSENT_NOT_GIVEN"},
		{400, `{"errcode":"M_UNKNOWN","error":"x"}`, 502, "M_UNKNOWN"},
	} {
		hs := &forgetful{list: c.list, status: c.status}
		r := newRig(t, options{})
		r.next = hs.before(r.next)
		r.hs.AddUser("alice", "secret", "alice@x.org")
		rec := r.as(r.login("alice", "secret"), "POST", deletePath, ofAlice(""))
		wantError(t, rec, c.want, c.errcode)
		if text := rec.Body.String(); c.want == 502 && !strings.Contains(text, "Try again") {
			t.Errorf("got %s, want it to say that one may try again", text)
		}
		if len(hs.forgotten) != 0 || len(r.events.changes) != 0 {
			t.Errorf("%s: the homeserver was told to forget %q, and the audit log says %+v", c.list, hs.forgotten, r.events.changes)
		}
	}
	for _, none := range []string{`{"threepids":null}`, `{"threepids":[]}`} { // Dendrite; Synapse
		hs := &forgetful{list: none, status: http.StatusOK}
		r := newRig(t, options{})
		r.next = hs.before(r.next)
		r.hs.AddUser("alice", "secret", "alice@x.org")
		wantStatus(t, r.as(r.login("alice", "secret"), "POST", deletePath, ofAlice("")), http.StatusOK)
		if len(hs.forgotten) != 0 {
			t.Errorf("%s: the homeserver was told to forget %q", none, hs.forgotten)
		}
	}
}

// TestR48_OnlyOnesOwnAddressIsUnbound by a homeserver that has the endpoint; and
// what was bound through us without being added (R48) is one's own, too.
func TestR48_OnlyOnesOwnAddressIsUnbound(t *testing.T) {
	for body, forwarded := range map[string]string{
		`{"medium":"email","address":"bob@x.org","id_server":"id.example.org"}`:    "",
		`{"medium":"email","address":"ALICE@x.org","id_server":"id.example.org"}`:  `{"address":"alice@x.org","id_server":"id.example.org","medium":"email"}`,
		`{"medium":"email","address":"Lookup@x.org","id_server":"id.example.org"}`: `{"address":"lookup@x.org","id_server":"id.example.org","medium":"email"}`,
	} {
		r, token := bound(t, "id.example.org")
		r.ids.Start("id.example.org", "2", "s", "email", "lookup@x.org")
		wantStatus(t, r.as(token, "POST", bindPath, bindBody("id.example.org", "2", "s")), http.StatusOK)
		legacy, seen := r.next, ""
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			switch {
			case !strings.HasSuffix(req.URL.Path, "/3pid/unbind"):
				return legacy(w, req)
			case req.Header.Get("Authorization") == "":
				return upstream(401, `{"errcode":"M_MISSING_TOKEN"}`)(w, req)
			}
			raw, err := wire.ReadBody(w, req, 1<<20)
			if err != nil {
				return err
			}
			seen = string(raw)
			return upstream(200, `{"id_server_unbind_result":"success"}`)(w, req)
		}
		wantStatus(t, r.as(token, "POST", unbindPath, body), http.StatusOK)
		if seen != forwarded {
			t.Errorf("%s: the homeserver saw %s, want %s", body, seen, forwarded)
		}
	}
}

// TestDeletingWhatIsOnlyBoundEndsTheBinding, and tells the homeserver nothing.
func TestDeletingWhatIsOnlyBoundEndsTheBinding(t *testing.T) {
	r, token := bound(t, "id.example.org")
	hs := &forgetful{list: `{"threepids":[]}`, status: http.StatusOK}
	r.next = hs.before(r.next)
	r.wantResult(t, token, deletePath, ofAlice(""), "success", "")
	r.wantBindings(t, 0)
	if len(hs.forgotten) != 0 {
		t.Errorf("the homeserver was told to forget %q", hs.forgotten)
	}
	if last := r.events.changes[len(r.events.changes)-1]; last.Action != "unbound" {
		t.Errorf("the audit log says %+v, want unbound", last)
	}
}
