// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// operated is a site with the real program at its admin endpoint.
type operated struct{ *site }

func (o operated) run(want int, args string) string {
	o.t.Helper()
	stdout, stderr, code := program(o.t, "caddy threepid", append(strings.Fields(args), "--admin", strings.TrimPrefix(o.adminURL(), "http://"))...)
	if code != want {
		o.t.Errorf("%s: got code %d, want %d\n%s%s", args, code, want, stdout, stderr)
	}
	return stdout
}

func (o operated) says(want int, args string, words ...string) {
	o.t.Helper()
	got := o.run(want, args)
	for _, word := range words {
		if !strings.Contains(got, word) {
			o.t.Errorf("%s: got\n%s, want %q", args, got, word)
		}
	}
}

// TestJoeGotNoMail is the question that operators have, with the answers that
// there are.
func TestJoeGotNoMail(t *testing.T) {
	w, config := prepareWhole(t, "off")
	w.mustLoad(strings.Replace(config, "limit address off", "limit address 3 1h", 1))
	w.awaitIdentity()
	joe := operated{w.site}
	const address = "joe@example.test"
	joe.says(1, "find --address "+address, "No request for it is known", "limit address: 0 of 3 in 1h.")

	w.ask("v3", "register", "first", address)
	w.link(address)
	w.await("the note of the mail", func() bool {
		return strings.Contains(joe.run(0, "find --address "+address), "the relay took the message")
	})
	joe.says(0, "find --address mailto:Joe＠EXAMPLE.test", "register: the relay took the message; the request is pending", "1 of 3")

	w.refuse.Store(true)
	w.ask("v3", "account/3pid", "second", address)
	w.await("the refusal", func() bool {
		return strings.Contains(joe.run(0, "find --address "+address), "add: the message was not sent")
	})
	joe.says(0, "find --address "+address, "reply 550", "<"+address+">: no such mailbox here")
	w.refuse.Store(false)

	joe.says(0, "suppressions add --address "+address, "gets no messages until")
	joe.says(0, "suppressions list", "an operator said so")
	w.ask("v3", "account/password", "third", address)
	w.await("the end of the message", func() bool { return strings.Contains(joe.run(0, "find --address "+address), "suppressed: manual") })
	joe.says(0, "find --address "+address, "It gets no messages until", "an operator said so", "3 of 3", "the next request has to wait")
	joe.says(0, "suppressions remove --address "+address, "gets messages again")
	joe.says(1, "suppressions remove --address "+address, "nothing against this address")

	// By the name that logs have, nobody's address is told.
	var found admin.FoundAddress
	w.wantJSON(&found, 0, "find", "--address", address, "--admin", strings.TrimPrefix(w.adminURL(), "http://"))
	if len(found.Messages) != 3 || found.Suppressed != nil || found.Messages[1].Reply == "" || found.Messages[1].ReplyAt == nil {
		t.Fatalf("got %+v, want three messages, the second refused", found)
	}
	for _, args := range []string{"sessions list", "sessions list --pseudonym " + found.Pseudonym, "sessions list --sid " + string(found.Messages[0].SID), "sessions list --address " + address, "suppressions list"} {
		if got := joe.run(0, args); strings.Contains(got, "joe") || strings.HasPrefix(args, "sessions") && !strings.Contains(got, string(found.Messages[0].SID)) {
			t.Errorf("%s: got\n%s, want the session under its pseudonym", args, got)
		}
	}
	joe.says(0, "sessions revoke --sid "+string(found.Messages[2].SID), "ended: 1")
	joe.says(0, "sessions revoke --address "+address, "ended: 2")
	joe.says(1, "sessions revoke --address "+address, "ended: 0")
	joe.says(0, "find --address "+address, "is revoked until")
	joe.says(0, "forget --address "+address, "replies: ")
	joe.says(1, "find --address "+address)
	wantNoLog(t, w.site, "joe")
}

// wantNoLog wants a text to be in no line of the log.
func wantNoLog(t *testing.T, s *site, text string) {
	t.Helper()
	for line := range strings.Lines(s.log("caddy.log")) {
		if strings.Contains(line, text) {
			t.Errorf("the log has %q: %s", text, line)
		}
	}
}

// TestAnnGotNoText is the same for a phone number, however it is written.
func TestAnnGotNoText(t *testing.T) {
	s := newPhoneSite(t, "allow GB", "price default 0.08", "resend_after 10m")
	ann := operated{s.site}
	const number = "447400654321"
	ann.says(1, "find --address +"+number, "No request for it is known", "limit number: 0 of 10 in 24h.")
	answer, err := s.ask(t.Context(), "192.0.2.1", "secret", "07400654321", 1)
	if err != nil || answer.Status != http.StatusOK {
		t.Fatalf("got %d %s, %v", answer.Status, answer.Body, err)
	}
	s.message(number)
	for _, written := range []string{"+" + number, number, "tel:+" + number, "＋" + number} {
		ann.says(0, "find --address "+written, "register: ", "limit number: 1 of 10 in 24h.", "limit backoff; the next request has to wait")
	}
	ann.says(0, "find --medium msisdn --address "+number, "register: ")
	ann.says(2, "find --medium email --address "+number)
	ann.says(0, "find --address +33612345678", "limit country; it refuses every request")
	wantNoLog(t, s.site, number)
}

// TestADecoyIsToldFor: the homeserver has refused, and the person got the mail that
// says so.
func TestADecoyIsToldFor(t *testing.T) {
	w := newWhole(t, "callback")
	w.hs.AddUser("joe", oldPassword, "joe@example.test")
	w.ask("v3", "register", "secret", "joe@example.test")
	operated{w.site}.says(0, "find --address joe@example.test", "The homeserver refused the request")
}

// TestAnAddressThatIsDenied leaves no request to be found: the policy is asked.
func TestAnAddressThatIsDenied(t *testing.T) {
	w := newWhole(t, "off", "email_policy {\ndeny example.test\n}")
	o := operated{w.site}
	o.says(0, "find --address joe@example.test", "No request for it is known", "email_policy (deny) refuses it")
	o.says(1, "find --address joe@example.org")
}

// TestARestoredStoreKeepsItsAge: the check record is the one that was backed up,
// sealed then, so the doctor takes the store for as old as that one.
func TestARestoredStoreKeepsItsAge(t *testing.T) {
	w := newWhole(t, "off")
	record := func() (sealed string) {
		app, err := caddymodule.Running()
		must(t, err, app.Instance().Store.Scan(t.Context(), keycheck.Partition, "", func(_ string, value []byte) (bool, error) {
			sealed += string(value)
			return true, nil
		}))
		return sealed
	}
	before := record()
	o := operated{w.site}
	o.run(0, "backup --output "+w.path("backup"))
	_, _, code := program(t, "caddy threepid", "restore", "--input", w.path("backup"), "--store", w.path("restored"))
	w.mustLoad(w.over(w.path("restored")))
	if after := record(); code != 0 || before == "" || after != before {
		t.Errorf("got code %d, and another check record: %v", code, after != before)
	}
}

// TestWhatIsNotSentSaysSo: a folder is no mailbox, and its files are not erased.
func TestWhatIsNotSentSaysSo(t *testing.T) {
	s := newSite(t, "")
	s.mustLoad(s.simple())
	o := operated{s}
	o.says(0, "send-test --to joe@example.test", "It was written into "+s.path("outbox"), "not sent")
	o.says(0, "forget --address joe@example.test", s.path("outbox"))
	files, err := filepath.Glob(s.path("outbox") + "/*.eml")
	if err != nil || len(files) != 1 {
		t.Errorf("got %q, %v", files, err)
	}
}

// TestKeysExplainThemselves: the file itself is no copy of it, by whatever way, and
// nothing to seal anew is nothing to worry about.
func TestKeysExplainThemselves(t *testing.T) {
	w := newWhole(t, "off")
	o := operated{w.site}
	link := w.path("link.json")
	must(t, os.Symlink(w.path("keys.json"), link))
	for _, file := range []string{w.path("keys.json"), link} {
		o.says(1, "check-copy --file "+file, "the key file itself, and no copy")
	}
	if found := w.examine()["key_file"]; found.Code != "key_file_not_copied" {
		t.Errorf("got %+v, want no copy to be known", found)
	}
	o.says(0, "rotate-keys", "Nothing had to be sealed anew", "in use", "check-copy --file <copy>")
	o.says(0, "rotate-keys --prune", "No key was dropped", "in use")
	if status, err := w.adminPost("suppressions/add", stack.Object{"address": "joe@example.test"}, nil); err != nil || status != http.StatusOK {
		t.Fatalf("got %d, %v", status, err)
	}
	o.says(0, "rotate-keys", "sealed with the key in use: 1.")
}

// TestRestoreFollowsTheConfiguration: the folder of the store is written there
// already, whatever the data folder of whoever restores is.
func TestRestoreFollowsTheConfiguration(t *testing.T) {
	w := newWhole(t, "off")
	operated{w.site}.run(0, "backup --output "+w.path("backup"))
	t.Setenv("THREEPID_TEST_STORE", w.path("restored"))
	for name, c := range map[string]struct {
		config string
		code   int
		want   string
	}{
		"Caddyfile":     {w.over("{env.THREEPID_TEST_STORE}"), 0, w.path("restored")},
		"no threepid":   {w.without(), 2, ""},
		"no Caddyfile":  {"{", 2, ""},
		"another store": {"", 2, ""},
	} {
		file := filepath.Join(t.TempDir(), "Caddyfile")
		if name == "another store" {
			file = filepath.Join(t.TempDir(), "caddy.json")
			c.config = `{"apps":{"threepid":{"store":{"type":"redis"}}}}`
		}
		must(t, os.WriteFile(file, []byte(c.config), 0o600))
		stdout, stderr, code := program(t, "caddy threepid", "restore", "--input", w.path("backup"), "--config", file)
		if code != c.code || !strings.Contains(stdout, c.want) {
			t.Errorf("%s: got code %d and %s%s, want %d and %q", name, code, stdout, stderr, c.code, c.want)
		}
	}
	stdout, _, code := program(t, "caddy threepid", "restore", "--input", w.path("backup"), "--store", w.path("named"), "--config", w.path("no such"))
	if code != 0 || !strings.Contains(stdout, w.path("named")) {
		t.Errorf("got code %d and %s, want --store to be followed", code, stdout)
	}
}
