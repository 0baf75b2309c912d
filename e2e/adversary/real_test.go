// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakeis"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
)

var (
	realSequences = flag.Int("adversary.real", 150, "how many sequences are tried against the real Synapse")
	realFor       = flag.Duration("adversary.real.for", 70*time.Second, "and for how long at most, once there are enough")
)

// enough is how many sequences there are at least, however slow the machine is:
// nothing is shown by fewer.
const enough = 20

// realSteps is the mean length of a sequence there, where a step costs ten times as
// much as on the double.
const realSteps = "12"

// TestAdversary_RealSynapse lets the adversary loose on an unmodified Synapse 1.3.1,
// with a captcha, so that there are answers of 401 in which a proof is complete. It
// has no ledger: what came of it is what a log-in says.
func TestAdversary_RealSynapse(t *testing.T) {
	hs := startSynapse(t)
	steps := flag.Lookup("rapid.steps")
	former := steps.Value.String()
	if err := steps.Value.Set(realSteps); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = steps.Value.Set(former) }() // it was valid before
	c, until := newCounts(), time.Now().Add(*realFor)
	more := func() bool { return c.sequences < *realSequences && (time.Now().Before(until) || c.sequences < enough) }
	for more() && !t.Failed() {
		rapid.Check(t, func(rt *rapid.T) {
			if more() || c.ruined { // a failure is shortened, however late it is
				hs.run(rt, c)
			}
		})
	}
	t.Logf("%s", c)
}

// realServer is one Synapse, for all sequences.
type realServer struct {
	server *synapse.Server
	is     *fakeis.Server
	proxy  http.Handler
	site   atomic.Pointer[site] // who answers it at the moment
	runs   int
}

// startSynapse starts it. It asks the identity server that it trusts over TLS, which
// hands the call to the site of the moment.
func startSynapse(t *testing.T) *realServer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	env, err := synapse.Install(ctx, log.Printf)
	switch {
	case errors.Is(err, synapse.ErrUnavailable) && os.Getenv("CI") != "true":
		t.Skipf("NOT TRIED ON A REAL SYNAPSE: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	hs := &realServer{}
	if hs.is, err = fakeis.Start(fakeis.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hs.is.Close)
	hs.is.Inject(-1, nil, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		hs.site.Load().nodes[0].face.ServeHTTP(w, r)
	})
	captchas := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"success":%t}`, r.PostFormValue("response") == "solved")
	}))
	t.Cleanup(captchas.Close)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, hs.is.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if hs.server, err = synapse.Start(ctx, env, synapse.Options{
		Dir: filepath.Join(dir, "synapse"), ServerName: serverName, TrustedIDServers: []string{hs.is.Name()},
		ResetTrust: true, CAFile: ca, CaptchaVerify: captchas.URL,
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hs.server.Stop)
	base, err := url.Parse(hs.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(base)
	proxy.ErrorLog = log.New(os.Stderr, "", 0)
	hs.proxy = proxy
	return hs
}

// run is one sequence, with people of its own.
func (hs *realServer) run(rt *rapid.T, c *counts) {
	hs.runs++
	w := &world{T: rt, tag: fmt.Sprintf("w%d.", hs.runs), counts: c, judge: judge{noNames: true}}
	how := anySetup(rt)
	w.s = &site{
		t: rt, setup: setup{Callback: how.Callback, Reveal: how.Reveal, Gate: how.Gate, Captcha: true},
		clock: &clock{now: time.Unix(1_800_000_000, 0)}, identity: hs.is.Name(), hs: hs.proxy,
	}
	w.s.begin()
	hs.site.Store(w.s)
	w.elsewhere = w.ownSite()
	w.victim = hs.account(w, "victim", w.victims()[0])
	w.accounts = []*account{hs.account(w, "mallory", w.attackers()[0])}
	c.sequences++
	rt.Repeat(w.actions())
	hs.judge(w)
}

// account makes an account that has an address, by our own means.
func (hs *realServer) account(w *world, who, address string) *account {
	a := &account{name: w.tag + who, password: "the " + who + "'s"}
	made, err := hs.server.Register(context.Background(), a.name, a.password, false)
	if err != nil {
		w.Fatalf("register: %v", err)
	}
	a.token = made.AccessToken
	if !w.add(a, address) {
		w.Fatalf("give %s an address: %q", who, w.told)
	}
	return a
}

// judge looks at what became of the victim's account.
func (hs *realServer) judge(w *world) {
	if w.logIn(&account{name: w.victim.name, password: thief}) {
		w.ruin("the thief's password opens the victim's account")
	}
	if !w.logIn(w.victim) {
		w.ruin("the victim's password does not open the account")
	}
	got := w.s.send(request{method: "GET", target: "/_matrix/client/r0/account/3pid", token: w.victim.token, around: true})
	var told struct {
		Threepids []struct{ Address string }
	}
	if err := json.Unmarshal([]byte(got.body), &told); err != nil {
		w.Fatalf("read the victim's addresses: %v", err)
	}
	var has []string
	for _, t := range told.Threepids {
		has = append(has, t.Address)
	}
	want := w.victims()[:1]
	if w.added {
		want = w.victims()
	}
	if slices.Sort(has); !slices.Equal(has, want) {
		w.ruin("the victim has %d addresses, and not the %d that they should have", len(has), len(want))
	}
}
