// SPDX-License-Identifier: Apache-2.0

package dendrite

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// spellings are bodies of /account/3pid in which Dendrite finds credentials of
// an identity server of the client's choice: SERVER. SECRET stands for the
// address there.
var spellings = []struct{ name, body, errcode string }{
	{"in another case", `{"Three_Pid_Creds":{"sid":"x","client_secret":"SECRET","id_server":"SERVER"}}`, "M_BAD_JSON"},
	{"bind in another case", `{"Three_Pid_Creds":{"sid":"x","client_secret":"SECRET","id_server":"SERVER"},"Bind":true}`, "M_BAD_JSON"},
	{"long s", `{"three_pid_credſ":{"sid":"x","client_secret":"SECRET","id_server":"SERVER"}}`, "M_BAD_JSON"},
	{"long s, escaped", `{"three_pid_cred\u017f":{"sid":"x","client_secret":"SECRET","id_server":"SERVER"}}`, "M_BAD_JSON"},
	{"sid in another case", `{"three_pid_creds":{"SID":"x","client_secret":"SECRET","id_server":"SERVER"}}`, "M_BAD_JSON"},
	{"id_server in another case", `{"three_pid_creds":{"sid":"x","client_secret":"SECRET","ID_Server":"SERVER"}}`, "M_BAD_JSON"},
	{"id_server with long s", `{"three_pid_creds":{"sid":"x","client_secret":"SECRET","id_ſerver":"SERVER"}}`, "M_BAD_JSON"},
	{"the later of two", `{"three_pid_creds":{"sid":"x","client_secret":"SECRET","id_server":"OURS"},"THREE_PID_CREDS":{"client_secret":"SECRET","id_server":"SERVER"}}`, "M_BAD_JSON"},
	{"the later of two inside", `{"three_pid_creds":{"sid":"x","client_secret":"SECRET","id_server":"OURS","SID":"x","Id_server":"SERVER"}}`, "M_BAD_JSON"},
	{"plainly", `{"three_pid_creds":{"sid":"x","client_secret":"SECRET","id_server":"SERVER"}}`, "M_SERVER_NOT_TRUSTED"},
	{"without a sid", `{"three_pid_creds":{"client_secret":"SECRET","id_server":"SERVER"}}`, "M_SERVER_NOT_TRUSTED"},
	{"with an empty sid", `{"three_pid_creds":{"sid":"","client_secret":"SECRET","id_server":"SERVER"}}`, "M_SERVER_NOT_TRUSTED"},
	{"with sid null", `{"three_pid_creds":{"sid":null,"client_secret":"SECRET","id_server":"SERVER"}}`, "M_SERVER_NOT_TRUSTED"},
}

// TestDendriteFindsNothingThatWeDoNot: what it would act on is refused, and it
// never sees it. That it would, the same body shows on the way around us.
func TestDendriteFindsNothingThatWeDoNot(t *testing.T) {
	w := newWorld(t)
	fill := func(body, secret string) string {
		return strings.NewReplacer("SECRET", secret, "SERVER", credulous.Name(), "OURS", site.Identity).Replace(body)
	}
	for i, c := range spellings {
		t.Run(c.name, func(t *testing.T) {
			w := &world{t, w.proxied, w.direct}
			token := w.user(fmt.Sprintf("mallory%d", i))
			credulous.ResetRequests()
			w.want(w.post(w.proxied, "account/3pid", token, fill(c.body, fmt.Sprintf("through%d", i))), http.StatusBadRequest, c.errcode)
			if got := w.emails(token); got != "" {
				t.Errorf("the account has got %s", got)
			}
			if got := credulous.Requests(); len(got) != 0 {
				t.Errorf("Dendrite has asked for %s?%s", got[0].Path, got[0].Query)
			}
			// Not for another reason: around us it is stored.
			w.want(w.post(w.direct, "account/3pid", token, fill(c.body, fmt.Sprintf("around%d", i))), http.StatusOK, "")
			if got := w.emails(token); !strings.HasSuffix(got, "@example.test") {
				t.Errorf("the account has %q: Dendrite does not read this body, so the test shows nothing", got)
			}
			bound := false
			for _, req := range credulous.Requests() {
				bound = bound || strings.HasSuffix(req.Path, "/3pid/bind")
			}
			if want := strings.Contains(c.body, "Bind"); bound != want {
				t.Errorf("bound: %v, want %v", bound, want)
			}
		})
	}
}

// TestDendriteTakesWhatWeSend: the way that is meant, in both spellings.
func TestDendriteTakesWhatWeSend(t *testing.T) {
	w := newWorld(t)
	token := w.user("alice")
	w.add(token, "Alice@example.test")
	if got := w.emails(token); got != "alice@example.test" {
		t.Errorf("the account has %q, want alice@example.test", got)
	}
}
