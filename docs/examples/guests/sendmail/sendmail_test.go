// SPDX-License-Identifier: Apache-2.0

package sendmail

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

const from, to = "guest@example.test", "alice@example.test"

// TestSendHandsTheMailOver: the program gets it, and knows whom it is for.
func TestSendHandsTheMailOver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "{from} {to}")
	m := &Mailer{Command: []string{"/bin/sh", "-c", `cat > "$0"`, file}}
	if err := m.Send(t.Context(), from, to, []byte("a mail\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(strings.NewReplacer("{from}", from, "{to}", to).Replace(file)); string(got) != "a mail\n" {
		t.Errorf("got %q, %v, want the mail", got, err)
	}
}

// TestSendSaysWhatIsToBecomeOfTheMail, and nothing of what the program has written.
func TestSendSaysWhatIsToBecomeOfTheMail(t *testing.T) {
	over, end := context.WithCancel(t.Context())
	end()
	for command, c := range map[string]struct {
		ctx  context.Context
		want guest.SendError
	}{
		"exit 75":            {t.Context(), guest.SendError{Reason: guest.ReasonGateway, Again: true}},
		"echo $0 >&2;exit 1": {t.Context(), guest.SendError{Reason: guest.ReasonRejected}},
		"exit 0":             {over, guest.SendError{Reason: guest.ReasonTimeout, Again: true, Unsure: true}},
		"":                   {t.Context(), guest.SendError{Reason: guest.ReasonGateway, Again: true, Fault: true}},
	} {
		m := &Mailer{Command: []string{"/bin/sh", "-c", command, "{to}"}}
		if command == "" {
			m.Command = []string{filepath.Join(t.TempDir(), "none"), "{to}"}
		}
		err := m.Send(c.ctx, from, to, nil)
		var got *guest.SendError
		if !errors.As(err, &got) || got.Reason != c.want.Reason || got.Again != c.want.Again || got.Unsure != c.want.Unsure || got.Fault != c.want.Fault {
			t.Errorf("%q: got %+v, want %+v", command, err, c.want)
		} else if strings.Contains(err.Error(), to) {
			t.Errorf("%q: the error %q repeats the address", command, err)
		}
	}
}

// TestOptions: what is missing is refused when the configuration is loaded, and a program
// that there is not when it is started.
func TestOptions(t *testing.T) {
	for text, want := range map[string]string{
		"sendmail {\nfrom a@x.org\ncommand /bin/sh -c {to}\n}":  "",
		"sendmail {\nfrom a@x.org\ncommand /no/such/program\n}": "no such file",
		"sendmail {\nfrom a@x.org\n}":                           "needs from and command",
		"sendmail {\nfrom\n}":                                   "wrong argument count",
		"sendmail {\ncommand\n}":                                "wrong argument count",
		"sendmail {\nto b@x.org\n}":                             "there is no option 'to' here",
	} {
		m := new(Mailer)
		err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
		if err == nil {
			err = m.Provision(caddy.Context{})
		}
		if err == nil {
			err = m.Start()
		}
		if want == "" && (err != nil || m.From() != "a@x.org") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
