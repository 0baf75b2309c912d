// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakeis"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smstest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// What is stored ends after minutes, so the golden store is opened at the moment at
// which it was written: in a bubble whose clock stands there for as long as a server
// listens. Caddy leaves goroutines behind, for which a bubble would wait for ever, so a
// life is led in a process of its own, and ends as a process that is killed.

// These environment variables make the tests' program lead one life over a store.
const (
	childGolden    = "THREEPID_TEST_GOLDEN"     // its name
	childGoldenDir = "THREEPID_TEST_GOLDEN_DIR" // the folder with store, key file and notes
	childGoldenAt  = "THREEPID_TEST_GOLDEN_AT"  // the time
)

// goldenPort is where the identity server of the golden store listens: its name is in
// the bindings.
const goldenPort = 9477

// golden is one life: the program with all its peers, over a store of before.
type golden struct {
	*whole
	gateway *smstest.Server
	is      *fakeis.Server
	notes   map[string]note
	raw     map[string][4]int // entries of each kind, see readRaw
	plain   []string          // what they tell
	pruned  admin.Keys
}

// note is what somebody outside knows of what is stored, by which it is asked for.
type note struct {
	Address string `json:"address,omitempty"`
	Secret  string `json:"secret,omitempty"`
	SID     string `json:"sid,omitempty"`
	Link    string `json:"link,omitempty"`   // path and query
	Code    string `json:"code,omitempty"`   // of a text message
	Tag     string `json:"tag,omitempty"`    // of the envelope
	UIA     string `json:"uia,omitempty"`    // a registration, as its client knows it
	Inner   string `json:"inner,omitempty"`  // the same, as the homeserver knows it
	Nonce   string `json:"nonce,omitempty"`  // what the homeserver was shown as client_secret
	Alias   string `json:"alias,omitempty"`  // and as sid
	Client  string `json:"client,omitempty"` // who has asked
}

// lead runs a life in a child, and returns what it has said. It ends well only if the
// last thing that it says is that it has come to its end.
func lead(t *testing.T, name, dir string, at time.Time) (said string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestGoldenStore$", "-test.v", "-test.timeout="+patience.String())
	cmd.Env = append(os.Environ(), childGolden+"="+name, childGoldenDir+"="+dir, childGoldenAt+"="+at.Format(time.RFC3339), "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err == nil && strings.HasSuffix(string(out), goldenEnd(name))
}

func goldenEnd(name string) string { return "\nlife " + name + " has ended\n" }

// goldenLife is the child.
func goldenLife(t *testing.T, name string) {
	at, err := time.Parse(time.RFC3339, os.Getenv(childGoldenAt))
	must(t, err)
	alone(t)
	var admin atomic.Int64
	go passersby(&admin)
	synctest.Test(t, func(t *testing.T) {
		defer os.Exit(1) // a life that comes to its end does not come here
		time.Sleep(time.Until(at))
		g := newGolden(t, os.Getenv(childGoldenDir))
		admin.Store(int64(g.admin))
		lives()[name](g)
		if !t.Failed() {
			fmt.Print(goldenEnd(name))
			os.Exit(0)
		}
	})
}

// lives are all that a child can lead.
func lives() map[string]func(*golden) {
	all := map[string]func(*golden){}
	for _, l := range append(readers, writers...) {
		all[l.name] = l.show
	}
	return all
}

// turn is held by the one process that leads such a life: there is one port for the
// identity servers of all.
var turn net.Listener

// alone waits for the turn, which ends with the process.
func alone(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var err error
		if turn, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", goldenPort-1)); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// passersby write something now and then, by a clock that goes on: what the store
// gathers until the next write, or for a moment, would else wait for ever.
func passersby(port *atomic.Int64) {
	operator := stack.NewClient("")
	operator.Header = http.Header{admin.DoorHeader: {admin.DoorValue}}
	for ; ; time.Sleep(10 * time.Millisecond) {
		url := fmt.Sprintf("http://127.0.0.1:%d%ssuppressions/remove", port.Load(), admin.Base)
		_, _ = operator.Do(context.Background(), "POST", url, "", stack.Object{"address": "nobody@example.test"}) // the server may not be there yet
	}
}

// newGolden starts the peers, and reads the notes.
func newGolden(t *testing.T, dir string) *golden {
	t.Helper()
	g := &golden{whole: new(whole), notes: map[string]note{}}
	g.site = newSite(t, "")
	g.dir = dir
	g.hs, g.upstream = goldenHomeserver(t, g.identityName())
	inbox, err := smtptest.Start(smtptest.Options{
		Mode: smtptest.STARTTLS, Username: relayUser, Password: relayPassword,
		Fail: func(stage, address string) error {
			if !g.refuse.Load() {
				return nil
			}
			return trouble(stage, address)
		},
	})
	must(t, err)
	g.inbox = inbox
	g.gateway, err = smstest.Start()
	must(t, err)
	g.is, err = fakeis.Start(fakeis.Options{Port: goldenPort})
	must(t, err,
		os.WriteFile(g.path("relay.pem"), inbox.CAPEM(), 0o600),
		os.WriteFile(g.path("is.pem"), g.is.CertificatePEM(), 0o600),
		os.Setenv("SSL_CERT_FILE", g.path("is.pem")),
	)
	if raw, err := os.ReadFile(g.path("notes.json")); err == nil {
		must(t, json.Unmarshal(raw, &g.notes))
	}
	return g
}

// goldenHomeserver has terms to be accepted before the stages of a registration.
func goldenHomeserver(t *testing.T, identity string) (*fakehs.Server, string) {
	t.Helper()
	hs := fakehs.New(fakehs.Options{
		ServerName: "example.test", ResetMode: fakehs.ResetRemote, RegistrationEnabled: true, Require3PIDEmail: true,
		DisableMSISDNRegistration: true, Terms: true, TrustedIDServers: []string{identity}, HTTPClient: &http.Client{Transport: lazyRoots{t}},
	})
	return hs, httptest.NewServer(hs).URL
}

// start loads the configuration; more are further options of the app.
func (g *golden) start(more ...string) {
	g.t.Helper()
	options := append([]string{
		"public_url " + g.url(),
		"key_file " + g.path("keys.json"),
		"store badger {\npath " + g.path("store") + "\n}",
		"homeserver synapse {\nidentity_name " + g.identityName() + "\n}",
		"limit address 3 1h", "limit client 200 1h",
		"mailer smtp {\nserver " + g.inbox.Addr() + "\nca_file " + g.path("relay.pem") + "\nusername " + relayUser +
			"\npassword " + relayPassword + "\nfrom \"Example <noreply@example.test>\"\n}",
		"feedback {\nbounces bounces@example.test\npostmark hook canary-hook-password\nmailgun " + mailgunKey + "\n}",
		fmt.Sprintf("allow_identity_servers localhost:%d", goldenPort),
		"sms {\n" + (&phoneSite{site: g.site, gateway: g.gateway}).sender("gateway") + "\nallow GB DE FR\nbudget total messages 100 per day\nbudget country messages 50 per day\nper_client part off\nconversion 0.1 1000\n}",
	}, more...)
	g.loaded = g.global("threepid {\n"+strings.Join(options, "\n")+"\n}\nservers {\ntrusted_proxies static 127.0.0.1/32\n}") + g.sites()
	adapted, err := adapt(g.loaded)
	must(g.t, err, caddy.Load(adapted, true))
	g.until("the certificate", func() bool {
		if _, err := os.Stat(rootCert()); err != nil {
			return false
		}
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", g.identity), &tls.Config{RootCAs: roots(g.t), ServerName: "localhost", MinVersion: tls.VersionTLS12})
		if err == nil {
			_ = conn.Close() // it has served its purpose
		}
		return err == nil
	})
}

// candid has the client told what the homeserver says. Where it is not told, an answer
// waits for a clock that stands still.
const candid = "reveal_account_existence on"

// gated holds mails back until their registration has come so far.
const gated = "registration_gate completed"

// until asks again and again, as nothing can be waited for while the clock stands still.
func (g *golden) until(what string, done func() bool) {
	g.t.Helper()
	for range 50_000 {
		if done() {
			return
		}
		_, _ = g.operator().Do(g.t.Context(), "GET", admin.Base+"health/live", "", nil) // it takes a moment
	}
	g.t.Fatalf("there is no end of the wait for %s", what)
}
