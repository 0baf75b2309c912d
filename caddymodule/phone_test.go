// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smstest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// phoneSite is a site that verifies phone numbers by a gateway of its own.
type phoneSite struct {
	*site
	hs      *fakehs.Server
	gateway *smstest.Server
	http    http.Client
}

// newPhoneSite starts the gateway and the site; options are lines of the sms
// block.
func newPhoneSite(t *testing.T, options ...string) *phoneSite {
	t.Helper()
	hs, upstream := phoneHomeserver(t, fakehs.Options{})
	gateway, err := smstest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gateway.Close() })
	s := &phoneSite{site: newSite(t, upstream), hs: hs, gateway: gateway}
	s.mustLoad(s.config(options...))
	return s
}

// sender describes the gateway.
func (s *phoneSite) sender(name string) string {
	return "sender " + name + " http {\nurl " + s.gateway.URL() + "\nbearer " + smstest.Token + "\n" +
		"json `" + `{"id":"{id}","to":"{to}","from":"{from}","text":"{text}","receipt":"{receipt_url}"}` + "`\n" +
		"success 201\nmessage_id json /message_id\n" +
		"receipts json /state {\narrived DELIVRD\nundelivered UNDELIV EXPIRED\n}\n}"
}

func (s *phoneSite) config(options ...string) string {
	block := append([]string{s.sender("gateway")}, options...)
	app := s.options("mailer file {\npath "+s.path("outbox")+"\n}", "sms {\n"+strings.Join(block, "\n")+"\n}")
	return s.global("threepid {\n"+strings.Join(app, "\n")+"\n}\nservers {\ntrusted_proxies static 127.0.0.1/32\n}") + s.sites()
}

// ask requests a code from a client address, which a trusted proxy tells of.
func (s *phoneSite) ask(ctx context.Context, client, secret, number string, attempt int) (stack.Answer, error) {
	body := fmt.Sprintf(`{"client_secret":%q,"country":"GB","phone_number":%q,"send_attempt":%d}`, secret, number, attempt)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url()+"/_matrix/client/v3/register/msisdn/requestToken", strings.NewReader(body))
	if err != nil {
		return stack.Answer{}, err
	}
	req.Header.Set("X-Forwarded-For", client)
	resp, err := s.http.Do(req)
	if err != nil {
		return stack.Answer{}, err
	}
	defer resp.Body.Close()
	answer := stack.Answer{Status: resp.StatusCode, Header: resp.Header}
	raw, err := io.ReadAll(resp.Body)
	if answer.Body = string(raw); json.Unmarshal(raw, &answer.JSON) != nil {
		answer.JSON = nil
	}
	return answer, err
}

// message waits for the message to a number.
func (s *phoneSite) message(number string) smstest.Message {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	m, err := s.gateway.WaitFor(ctx, number)
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// pump asks for a code per session and submits none; it returns how many got one.
func (s *phoneSite) pump(requests, numbers int) (accepted int) {
	s.t.Helper()
	for i := range requests {
		a, err := s.ask(s.t.Context(), fmt.Sprintf("192.0.2.%d", 1+i%numbers), fmt.Sprintf("s%d", i), fmt.Sprintf("+447400%06d", i%numbers), 1)
		if err != nil {
			s.t.Fatal(err)
		}
		if a.Status == http.StatusOK {
			accepted++
		}
	}
	return accepted
}

// settle waits until the gateway has what was accepted.
func (s *phoneSite) settle(n int) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); len(s.gateway.All()) < n; {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d messages went out, %d were accepted", len(s.gateway.All()), n)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestBudgetsSurviveRestarts: neither a reload nor a new process begins anew.
func TestBudgetsSurviveRestarts(t *testing.T) {
	options := []string{"allow GB", "budget total messages 4 per day", "resend_after 1ns"} // half of it is for newcomers
	s := newPhoneSite(t, options...)
	ask := func(number string) int {
		a := s.settled(func() (stack.Answer, error) { return s.ask(t.Context(), "192.0.2.1", "s"+number[1:], number, 1) })
		return a.Status
	}
	if got := ask("+447400000001"); got != http.StatusOK {
		t.Fatalf("got status %d", got)
	}
	s.message("447400000001")
	s.mustLoad(s.config(append(options, "currency EUR")...)) // a reload
	if got := ask("+447400000002"); got != http.StatusOK {
		t.Fatalf("after a reload: got status %d", got)
	}
	s.message("447400000002")
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	s.mustLoad(s.config(options...)) // the store was closed and opened
	if got := ask("+447400000003"); got != http.StatusTooManyRequests {
		t.Errorf("after a restart: got status %d, want 429", got)
	}
}

// TestReceipts: what the network says of a message is shown to the operator.
func TestReceipts(t *testing.T) {
	s := newPhoneSite(t, "allow GB", "resend_after 1ns")
	a, err := s.ask(t.Context(), "192.0.2.1", "secret", "+447400000001", 1)
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("got %d, %v", a.Status, err)
	}
	receipt := s.message("447400000001").Receipt
	u, err := url.Parse(receipt)
	if err != nil || !strings.HasPrefix(receipt, s.url()+instance.ReceiptPath+"gateway?tag=") {
		t.Fatalf("got receipt URL %q, %v", receipt, err)
	}
	delivered := func() string {
		t.Helper()
		return s.session(a.Text("sid")).Delivery
	}
	report := func(path, body string) int {
		t.Helper()
		resp, err := http.Post(s.url()+path, "application/json", strings.NewReader(body)) //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	// The gateway has it before that is written down.
	s.await("the state before any receipt", func() bool { return delivered() == "sent" })
	tag := u.Query().Get("tag")
	const tagMAC = 11 // characters, before the id of the message
	id := tag[tagMAC:]
	for _, forged := range []string{"", id, tag + "1", strings.Repeat("A", tagMAC) + id, strings.TrimSuffix(tag, "1") + "2", tag[:tagMAC], "x"} {
		if got := report(u.Path+"?tag="+url.QueryEscape(forged), `{"state":"UNDELIV"}`); got != http.StatusForbidden {
			t.Errorf("tag %q: got status %d, want 403", forged, got)
		}
	}
	if got := report(u.RequestURI(), `{"status":"DELIVRD"}`); got != http.StatusBadRequest {
		t.Errorf("a receipt without a state: got status %d, want 400", got)
	}
	for _, step := range []struct{ state, want string }{{"ACCEPTD", "sent"}, {"DELIVRD", "arrived"}, {"UNDELIV", "bounced"}} {
		if got := report(u.RequestURI(), `{"state":"`+step.state+`"}`); got != http.StatusOK {
			t.Errorf("%s: got status %d, want 200", step.state, got)
		}
		if got := delivered(); got != step.want {
			t.Errorf("%s: got %q, want %q", step.state, got, step.want)
		}
	}
}

// TestAskedAgainWithinThePause: who asks again for the code that they are waiting for
// keeps the session, and gets no second message; another session is told to wait.
func TestAskedAgainWithinThePause(t *testing.T) {
	s := newPhoneSite(t, "allow GB", "resend_after 1h")
	ask := func(secret string, attempt int) stack.Answer {
		t.Helper()
		a, err := s.ask(t.Context(), "192.0.2.1", secret, "+447400000001", attempt)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := ask("secret", 1)
	for _, attempt := range []int{1, 2, 3} {
		if a := ask("secret", attempt); a.Status != http.StatusOK || a.Text("sid") != first.Text("sid") {
			t.Errorf("send_attempt %d: got %d %s, want the session of the first", attempt, a.Status, a.Body)
		}
	}
	if a := ask("another", 1); a.Status != http.StatusTooManyRequests || !strings.HasPrefix(a.Text("error"), "Too many requests. Please try again in ") {
		t.Errorf("another session: got %d %s", a.Status, a.Body)
	}
	s.message("447400000001")
	s.settle(1)
	if sent := len(s.gateway.All()); sent != 1 {
		t.Errorf("%d messages were sent, want one", sent)
	}
}
