// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// askIn requests a token as a browser with a language does.
func (w *whole) askIn(language, email string) {
	w.t.Helper()
	a := w.settled(func() (stack.Answer, error) {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url()+"/_matrix/client/v3/register/email/requestToken",
			strings.NewReader(`{"client_secret":"secret","email":"`+email+`","send_attempt":1}`))
		if err != nil {
			return stack.Answer{}, err
		}
		req.Header.Set("Accept-Language", language)
		// A connection that is kept may be one to the configuration of before.
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return stack.Answer{}, err
		}
		return stack.Answer{Status: resp.StatusCode}, resp.Body.Close()
	})
	if a.Status != http.StatusOK {
		w.t.Fatalf("got %d, want 200", a.Status)
	}
}

func (w *whole) mailTo(email string) smtptest.Message {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	m, err := w.inbox.WaitFor(ctx, email)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func TestMailInTheReadersLanguage(t *testing.T) {
	both(t, func(t *testing.T, w *whole) {
		for header, want := range map[string]string{"de-AT,de;q=0.9,en;q=0.5": "de", "ar": "ar", "tlh, fr;q=0.1": "fr", "": "en", "zh-CN": "zh-Hans"} {
			email := "reader." + strings.ToLower(want) + "@example.test"
			w.askIn(header, email)
			m := w.mailTo(email)
			if got := m.Header("Content-Language"); got != want {
				t.Errorf("%q: got language %q, want %q", header, got, want)
			}
			if link, ok := m.Link(); !ok || !strings.HasPrefix(link, w.url()) {
				t.Errorf("%q: got link %q", header, link)
			}
		}
	})
}

func TestBrandAndTemplatesOfTheOperator(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("brands/acme/en/words.txt", `{{define "register subject"}}Welcome to ACME on {{.Server}}{{end}}`+"\n")
	write("logo.svg", `<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"></svg>`)
	w := newWhole(t, "off", "templates "+folder, "brand acme {\nhost 127.0.0.1\nlogo "+filepath.Join(folder, "logo.svg")+"\ncss accent 004488\n}")
	w.askIn("en", "one@example.test")
	branded := w.mailTo("one@example.test")
	branding := w.loaded
	w.mustLoad(strings.Replace(branding, "host 127.0.0.1", "host other.example.test", 1))
	w.askIn("en", "two@example.test")
	plain := w.mailTo("two@example.test")
	w.mustLoad(branding)
	if got := branded.Subject(); !strings.HasPrefix(got, "Welcome to ACME on ") {
		t.Errorf("got subject %q, want the brand's", got)
	}
	if got := plain.Subject(); strings.Contains(got, "ACME") {
		t.Errorf("got subject %q on another host", got)
	}
	link, _ := branded.Link()
	page := w.settled(func() (stack.Answer, error) { return w.client.Do(t.Context(), "GET", link, "", nil) })
	if !strings.Contains(page.Body, `src="data:image/svg`) || !strings.Contains(page.Body, "--accent:#004488") {
		t.Errorf("got a page without the brand's logo or colour")
	}
	write("en/words.txt", `{{define "register subject"}}{{.Nobody}}{{end}}`+"\n")
	if err := w.load(w.loaded); err == nil || !strings.Contains(err.Error(), "words.txt:1") {
		t.Errorf("got %v, want a template that is wrong refused with file and line", err)
	}
}

// refusalLink is the "I did not ask for this" of a mail.
var refusalLink = regexp.MustCompile(`https?://\S+` + regexp.QuoteMeta(handlers.RefusePath) + `\S+`)

func TestRefusalEndsWhatWasAskedFor(t *testing.T) {
	w := newWhole(t, "off")
	const email = "victim@example.test"
	sid := w.ask("v3", "account/password", "attacker", email)
	m := w.mailTo(email)
	text := m.Text()
	link, err := url.Parse(refusalLink.FindString(text))
	if err != nil || link.Path != handlers.RefusePath {
		t.Fatalf("got no link to refuse in %s (%v)", text, err)
	}
	page := w.do("GET", link.RequestURI(), "", nil, http.StatusOK)
	if w.session(sid).State != "pending" || !strings.Contains(page.Body, "<form") {
		t.Error("opening the page changed something, or it has no button")
	}
	// A mail program presses without a page (RFC 8058).
	a, err := w.client.Form(t.Context(), link.RequestURI(), url.Values{"List-Unsubscribe": {"One-Click"}})
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("got %d %s (%v), want 200", a.Status, a.Body, err)
	}
	if got := w.session(sid).State; got != "revoked" {
		t.Errorf("got state %q, want revoked", got)
	}
	limited := w.do("POST", "/_matrix/client/v3/account/password/email/requestToken", "",
		stack.Object{"client_secret": "another", "email": email, "send_attempt": 1}, http.StatusTooManyRequests)
	if limited.Text("errcode") != "M_LIMIT_EXCEEDED" || limited.Header.Get("Retry-After") == "" {
		t.Errorf("got %s, want the address to be left alone for a while", limited.Body)
	}
}

// formField is a hidden field of a page.
var formField = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)">`)

// TestTheMailHasTheCodeThatThePageAsksFor where a press may have been a
// program's, in both parts.
func TestTheMailHasTheCodeThatThePageAsksFor(t *testing.T) {
	w := newWhole(t, "off")
	const email = "somebody@example.test"
	sid := w.ask("v3", "register", "secret", email)
	m := w.mailTo(email)
	code := regexp.MustCompile(`type ([0-9]{6}) there`).FindStringSubmatch(m.Text())
	found, _ := m.Link()
	link, err := url.Parse(found)
	if err != nil || code == nil || !strings.Contains(m.HTML(), code[1]) {
		t.Fatalf("got %v, and no link and code in\n%s", err, m.Text())
	}
	submit := func(form url.Values, want int) stack.Answer {
		t.Helper()
		a, err := w.client.Form(t.Context(), link.Path, form)
		if err != nil || a.Status != want {
			t.Fatalf("got %d %s (%v), want %d", a.Status, a.Body, err, want)
		}
		return a
	}
	page := submit(link.Query(), http.StatusForbidden) // without the nonce of a page
	form := url.Values{}
	for _, field := range formField.FindAllStringSubmatch(page.Body, -1) {
		form.Set(field[1], field[2])
	}
	submit(form, http.StatusForbidden)
	if got := w.session(sid).State; got != "pending" {
		t.Errorf("got state %q before the code was typed, want pending", got)
	}
	form.Set("token", code[1])
	submit(form, http.StatusOK)
	if got := w.session(sid).State; got != "validated" {
		t.Errorf("got state %q, want validated", got)
	}
}

func TestFullQueueIsHonest(t *testing.T) {
	w := newWhole(t, "off", "max_queued 1")
	// Nobody takes mail any more, so that it waits.
	if err := w.inbox.Close(); err != nil {
		t.Fatal(err)
	}
	ask := func(secret, email string) stack.Answer {
		t.Helper()
		a, err := w.client.Do(t.Context(), "POST", "/_matrix/client/v3/register/email/requestToken", "",
			stack.Object{"client_secret": secret, "email": email, "send_attempt": 1})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := ask("one", "one@example.test"); a.Status != http.StatusOK {
		t.Fatalf("got %d %s, want the first taken", a.Status, a.Body)
	}
	a := ask("two", "two@example.test")
	if a.Status != http.StatusServiceUnavailable || a.Text("errcode") != "M_UNKNOWN" || a.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %s %v, want 503 that says when", a.Status, a.Body, a.Header)
	}
	if got := a.Header.Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("got Access-Control-Allow-Origin %q", got)
	}
}

// TestReasonOfAFailureIsCounted: why no mail arrives is in the log, in the
// metric and in what the doctor says.
func TestReasonOfAFailureIsCounted(t *testing.T) {
	w := newWhole(t, "off")
	w.mustLoad(strings.Replace(w.loaded, "ca_file ", "tls_server_name wrong.example.test\nca_file ", 1))
	before := w.metric("caddy_threepid_delivery_failures_total") // of the whole process
	w.settled(func() (stack.Answer, error) {
		return w.client.RequestToken(t.Context(), "v3", "register", "secret", "somebody@example.test")
	})
	w.await("the failure", func() bool { return w.metric("caddy_threepid_delivery_failures_total") > before })
	// It is counted before it is logged.
	w.await("the reason in the log", func() bool { return strings.Contains(w.log("caddy.log"), `"reason":"cert-wrong-name"`) })
	text, err := w.command("doctor")
	if err == nil || !strings.Contains(text, "cert_wrong_name") {
		t.Errorf("got %v, %s, want the doctor to say why", err, text)
	}
	if got := len(w.inbox.Messages()); got != 0 {
		t.Errorf("got %d mails, want none", got)
	}
}

func TestSecondRelayTakesOver(t *testing.T) {
	second, err := smtptest.Start(smtptest.Options{Mode: smtptest.STARTTLS})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	ca := filepath.Join(t.TempDir(), "second.pem")
	if err := os.WriteFile(ca, second.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWhole(t, "off")
	config := strings.Replace(w.loaded, "from \"Example", "relay "+second.Addr()+" {\nca_file "+ca+"\n}\nfrom \"Example", 1)
	w.mustLoad(config)
	if err := w.inbox.Close(); err != nil {
		t.Fatal(err)
	}
	w.settled(func() (stack.Answer, error) {
		return w.client.RequestToken(t.Context(), "v3", "register", "secret", "somebody@example.test")
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := second.WaitFor(ctx, "somebody@example.test"); err != nil {
		t.Fatal(err)
	}
	text, err := w.command("status")
	// The first takes nothing, so it is not in order, although it is still tried.
	if err == nil || !strings.Contains(text, second.Addr()) || !strings.Contains(text, "refused") || !strings.Contains(text, "failing") {
		t.Errorf("got %q, %v, want both relays and what is wrong with the first", text, err)
	}
}
