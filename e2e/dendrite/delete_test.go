// SPDX-License-Identifier: Apache-2.0

package dendrite

import (
	"net/http"
	"strings"
	"testing"
)

// TestNobodyDeletesAnothersAddress, which Dendrite lets everybody do.
func TestNobodyDeletesAnothersAddress(t *testing.T) {
	w := newWorld(t)
	before := len(site.Caddy.Logs()) // others delete what is theirs
	victim, thief := w.user("victim"), w.user("thief")
	w.add(victim, "victim@example.test")
	w.add(thief, "thief@example.test")
	for body, errcode := range map[string]string{
		`{"medium":"email","address":"victim@example.test"}`:                                 "",
		`{"medium":"email","address":"VICTIM@example.test"}`:                                 "",
		`{"medium":"email","address":"thief@example.test","addreſs":"victim@example.test"}`:  "M_BAD_JSON",
		`{"medium":"email","address":"thief@example.test","Address":"victim@example.test"}`:  "M_BAD_JSON",
		`{"medium":"msisdn","address":"1","Medium":"email","ADDRESS":"victim@example.test"}`: "M_BAD_JSON",
	} {
		a := w.post(w.proxied, "account/3pid/delete", thief, body)
		if errcode != "" {
			w.want(a, http.StatusBadRequest, errcode)
		} else if a.Text("id_server_unbind_result") != "no-support" {
			t.Errorf("%s: got %d %s", body, a.Status, a.Body)
		}
		if got := w.emails(victim); got != "victim@example.test" {
			t.Fatalf("%s: the victim has %q", body, got)
		}
	}
	if logs := site.Caddy.Logs()[before:]; strings.Contains(logs, "address deleted") {
		t.Error("the audit log says that an address was deleted")
	}
	// Not for another reason: around us it is gone, by the odd spelling, too.
	w.want(w.post(w.direct, "account/3pid/delete", thief, `{"medium":"email","address":"thief@example.test","addreſs":"victim@example.test"}`), http.StatusOK, "")
	if got := w.emails(victim); got != "" {
		t.Errorf("the victim has %q: Dendrite checks whose address it is, so the test shows nothing", got)
	}
}

// TestOnesOwnAddressIsDeletedInAnotherSpelling: Dendrite compares texts.
func TestOnesOwnAddressIsDeletedInAnotherSpelling(t *testing.T) {
	w := newWorld(t)
	token := w.user("carol")
	w.add(token, "carol@example.test")
	const spelled = `{"medium":"email","address":"Carol@EXAMPLE.test"}`
	w.want(w.post(w.direct, "account/3pid/delete", token, spelled), http.StatusOK, "")
	if got := w.emails(token); got != "carol@example.test" {
		t.Fatalf("the account has %q: Dendrite compares more than texts, so the test shows nothing", got)
	}
	w.want(w.post(w.proxied, "account/3pid/delete", token, spelled), http.StatusOK, "")
	if got := w.emails(token); got != "" {
		t.Errorf("the account has %q, want nothing", got)
	}
	// Once more is no error: clients repeat what got no answer.
	w.want(w.post(w.proxied, "account/3pid/delete", token, spelled), http.StatusOK, "")
}
