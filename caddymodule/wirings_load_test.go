// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// wiringLines are the lines of the log that lead to the doctor, with names in
// place of what is another number in each run.
func (s *site) wiringLines() string {
	s.t.Helper()
	var out strings.Builder
	for line := range strings.Lines(s.log("caddy.log")) {
		var l struct{ Level, Msg, Code, Subject, Advice string }
		if json.Unmarshal([]byte(line), &l) != nil || l.Code == "" || !strings.Contains(l.Msg, "`caddy threepid doctor`") {
			continue
		}
		fmt.Fprintf(&out, "%s %s [%s] %s\n\t%s\n", l.Level, l.Subject, l.Code, l.Msg, strings.ReplaceAll(l.Advice, "\n", "\n\t"))
	}
	return strings.NewReplacer(
		strconv.Itoa(s.public), "PUBLIC", strconv.Itoa(s.identity), "IDENTITY", strconv.Itoa(s.admin), "ADMIN",
		strings.TrimPrefix(s.upstream, "http://127.0.0.1:"), "HOMESERVER",
	).Replace(out.String())
}

// wantLines compares them with a file of testdata.
func (s *site) wantLines(file string) {
	s.t.Helper()
	path, got := filepath.Join("testdata/wiring", file), s.wiringLines()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) || got == "" {
		s.t.Errorf("got (%v)\n%s\nwant\n%s", err, got, want)
	}
}

// wiringOf is what the doctor says of the running server.
func (s *site) wiringOf() []doctor.Finding {
	s.t.Helper()
	text, _ := s.command("doctor", "--json") // it has other things to say
	var report doctor.Report
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		s.t.Fatalf("got %q, want a report: %v", text, err)
	}
	var found []doctor.Finding
	for _, f := range report.Findings {
		if f.Check == "wiring" {
			found = append(found, f)
		}
	}
	return found
}

func codes(found []doctor.Finding) string {
	var list []string
	for _, f := range found {
		list = append(list, f.Code)
	}
	return strings.Join(list, " ")
}

// TestWiringIsSaidAtLoad: a line for each fault, when a real Caddy has loaded the
// configuration, the same from the doctor and in the status, and nothing for the
// configuration that the README has.
func TestWiringIsSaidAtLoad(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(s *site, config string) string
		codes string
	}{
		{"good", func(_ *site, config string) string { return config }, "ok"},
		{"no_identity_site", func(_ *site, config string) string {
			return strings.Replace(config, "\tthreepid_identity\n", "\trespond 404\n", 1)
		}, "identity_site_missing"},
		{"identity_port", func(s *site, config string) string {
			return strings.Replace(config, "identity_name "+s.identityName(), "identity_name localhost:1", 1)
		}, "identity_site_port"},
		{"handle_and_way_around", func(s *site, config string) string {
			return strings.Replace(config, "\tthreepid\n\treverse_proxy", "\thandle /_matrix/client/*/register* {\n\t\tthreepid\n\t\treverse_proxy "+
				strings.TrimPrefix(s.upstream, "http://")+"\n\t}\n\treverse_proxy", 1)
		}, "links_not_covered way_around"},
		{"nothing_behind", func(_ *site, config string) string {
			return strings.Replace(config, "\tthreepid\n\treverse_proxy", "\tthreepid\n\treverse_proxy /_synapse/*", 1)
		}, "nothing_behind"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, upstream := homeserver(t, fakehs.Options{})
			s := newSite(t, upstream)
			s.mustLoad(tt.spoil(s, strings.Replace(s.simple(), "homeserver {", "homeserver synapse {", 1)))
			if tt.codes != "ok" {
				s.wantLines("log_" + tt.name + ".txt")
			} else if got := s.wiringLines(); got != "" {
				t.Errorf("got %s, want no word", got)
			}
			if got := codes(s.wiringOf()); got != tt.codes {
				t.Errorf("the doctor says %q, want %q", got, tt.codes)
			}
			text, err := s.command("status")
			if (err != nil) != (tt.codes != "ok") {
				t.Errorf("status ends with %v", err)
			}
			for code := range strings.FieldsSeq(tt.codes) {
				if strings.Contains(text, code+"  ") != (code != "ok") {
					t.Errorf("got status\n%s\nwant %s in it", text, code)
				}
			}
		})
	}
}

// TestProxyThatIsNotTrusted is only seen by requests, and said once.
func TestProxyThatIsNotTrusted(t *testing.T) {
	s := newSite(t, "http://127.0.0.1:1")
	s.mustLoad(strings.Replace(s.simple(), "auto_https disable_redirects", "auto_https disable_redirects\nservers {\ntrusted_proxies static 127.0.0.1/32\n}", 1))
	for i := range 5 {
		s.askFrom(fmt.Sprintf("198.51.100.%d", i), i)
	}
	if got := codes(s.wiringOf()); got != "ok" {
		t.Errorf("with a trusted proxy the doctor says %q", got)
	}
	s.mustLoad(s.simple())
	for i := range 5 {
		s.askFrom(fmt.Sprintf("198.51.100.%d", i), i)
	}
	s.wantLines("log_proxy.txt")
	found := s.wiringOf()
	if codes(found) != "proxy_not_trusted" || !strings.Contains(found[0].Problem, "5 times") {
		t.Errorf("the doctor says %+v, want the proxy, and how often it was seen", found)
	}
	if strings.Contains(fmt.Sprint(found)+s.wiringLines(), "198.51.100") {
		t.Error("a client's address is told")
	}
}

// TestMisconfiguredHomeserverThroughCaddy: its operator learns of it from the log
// once, and from status and doctor for as long as it is so.
func TestMisconfiguredHomeserverThroughCaddy(t *testing.T) {
	cut := false
	transport := lazyRoots{t}
	opts := fakehs.Options{TrustedIDServers: []string{"matrix.org"}, HTTPClient: &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
		if cut {
			return nil, errors.New("certificate verify failed")
		}
		return transport.RoundTrip(r)
	})}}
	_, upstream := homeserver(t, opts)
	s := newSite(t, upstream)
	s.mustLoad(strings.Replace(s.simple(), "homeserver {", "homeserver synapse {", 1))
	s.awaitIdentity()
	ask := func(i int) stack.Answer {
		return s.settled(func() (stack.Answer, error) {
			return s.client.RequestToken(t.Context(), "v3", "register", fmt.Sprint("s", i), fmt.Sprintf("canary%d@example.test", i))
		})
	}
	for i := range 3 {
		if a := ask(i); a.Status != http.StatusBadGateway || a.Text("errcode") != "M_UNKNOWN" {
			t.Errorf("got %d %s, want 502 and M_UNKNOWN", a.Status, a.Body)
		}
	}
	s.wantLines("log_not_trusted.txt")
	found := s.wiringOf()
	if codes(found) != "not_trusted" || !strings.Contains(found[0].Problem, "3 times") || !strings.Contains(found[0].Advice, "trusted_third_party_id_servers") {
		t.Errorf("the doctor says %+v", found)
	}
	if text, err := s.command("status"); err == nil || !strings.Contains(text, "not_trusted") {
		t.Errorf("got status %v\n%s\nwant not_trusted in it", err, text)
	}
	if strings.Contains(s.log("caddy.log"), "canary") {
		t.Error("an address is in the log")
	}

	// The operator writes the name into the homeserver's list, but not the
	// authority into its bundle; and then does that, too.
	opts.TrustedIDServers = []string{s.identityName()}
	_, s.upstream = homeserver(t, opts)
	cut = true
	s.mustLoad(strings.Replace(s.simple(), "homeserver {", "homeserver synapse {", 1))
	if a := ask(10); a.Status != http.StatusBadGateway {
		t.Errorf("got %d %s, want 502", a.Status, a.Body)
	}
	if got := codes(s.wiringOf()); got != "identity_unreachable" {
		t.Errorf("the doctor says %q, want identity_unreachable", got)
	}
	cut = false
	if a := ask(11); a.Status != http.StatusOK {
		t.Errorf("got %d %s of a homeserver that is well, want 200", a.Status, a.Body)
	}
	if got := codes(s.wiringOf()); got != "ok" {
		t.Errorf("the doctor still says %q of a homeserver that has reached us", got)
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestExampleIsWiredWell: the example, and the README, with what they have
// commented out in use.
func TestExampleIsWiredWell(t *testing.T) {
	raw, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SMTP_PASSWORD", "x")
	for name, config := range map[string]string{"as it is": string(raw), "with uri": string(uncomment(raw, "uri "))} {
		adapted, err := adapt(config)
		if err != nil {
			t.Fatal(err)
		}
		if got := miswired(t, adapted); len(got) != 0 {
			t.Errorf("Caddyfile.example %s: got %+v, want nothing", name, got)
		}
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "```caddyfile\n")
	block, _, _ = strings.Cut(block, "```")
	adapted, err := adapt(block)
	if err != nil {
		t.Fatal(err)
	}
	if got := miswired(t, adapted); len(got) != 0 {
		t.Errorf("README.md: got %+v, want nothing", got)
	}
	var cfg caddy.Config
	if err := json.Unmarshal(adapted, &cfg); err != nil || cfg.AppsRaw["threepid"] == nil {
		t.Errorf("the README's first Caddyfile has no threepid: %v", err)
	}
}
