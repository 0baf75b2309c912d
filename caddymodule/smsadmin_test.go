// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smstest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// TestPhoneConfigurationIsChecked: what could not send, or could spend without
// a bound that was meant, is refused when it is loaded, and says why.
func TestPhoneConfigurationIsChecked(t *testing.T) {
	const sender = `"senders":{"main":{"type":"file"}}`
	for config, want := range map[string]string{
		`{"allow":["*"]}`:                     "has no sender",
		`{` + sender + `}`:                    "allow",
		`{` + sender + `,"allow":["France"]}`: "France",
		`{` + sender + `,"allow":["*"],"routes":[{"senders":["spare"]}]}`:                                                             "spare",
		`{` + sender + `,"allow":["*"],"originators":{"XX":["a"]}}`:                                                                   "XX",
		`{` + sender + `,"allow":["*"],"prices":{"FR":"cheap"}}`:                                                                      "price FR",
		`{` + sender + `,"allow":["*"],"numbers":"all"}`:                                                                              "numbers: must be valid or possible",
		`{` + sender + `,"allow":["*"],"refuse_kinds":["ugly"]}`:                                                                      "refuse ugly: must be",
		`{` + sender + `,"allow":["*"],"budgets":[{"scope":"total","unit":"money","limit":"5","per":"day"}]}`:                         "price",
		`{` + sender + `,"allow":["*"],"budgets":[{"scope":"total","unit":"messages","limit":"x","per":"day"}]}`:                      "not a number of messages",
		`{` + sender + `,"allow":["*"],"budgets":[{"scope":"total","unit":"messages","limit":"5","per":"week"}]}`:                     "the time must be hour or day",
		`{` + sender + `,"allow":["*"],"budgets":[{"scope":"planet","unit":"messages","limit":"5","per":"day"}]}`:                     "planet",
		`{"senders":{"a b":{"type":"file"}},"allow":["*"]}`:                                                                           "has 1 to 32 letters",
		`{"senders":{"m":{"type":"http","url":"https://sms.example/","json":"{"}},"allow":["*"]}`:                                     "not JSON",
		`{"senders":{"m":{"type":"http","url":"https://sms.example/","text":"{txt}"}},"allow":["*"]}`:                                 "{txt}",
		`{"senders":{"m":{"type":"http","url":"https://sms.example/","text":"{text}","json":"{}"}},"allow":["*"]}`:                    "text: excludes json",
		`{"senders":{"m":{"type":"http","url":"https://sms.example/","bearer":"{env.THREEPID_TEST_NOT_SET}"}},"allow":["*"]}`:         "THREEPID_TEST_NOT_SET",
		`{"senders":{"m":{"type":"http","url":"https://sms.example/","unicode_words":["a"]}},"allow":["*"]}`:                          "two words",
		`{"senders":{"m":{"type":"http","preset":"pigeon"}},"allow":["*"]}`:                                                           "there is no such preset",
		`{"senders":{"m":{"type":"http","preset":"twilio"}},"allow":["*"]}`:                                                           "account",
		`{"senders":{"m":{"type":"http","preset":"kannel","account":"a","secret":"b","json":"{}"}},"allow":["*"]}`:                    "needs no description",
		`{"senders":{"m":{"type":"http","url":"https://sms.example/","text":"{text}","receipts":{"state":"json:/s"}}},"allow":["*"]}`: "receipts",
	} {
		_, err := provision(t, `{"public_url":"https://m.example","sms":`+config+`}`)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error about %q", config, err, want)
		}
	}
	for _, kind := range []string{"synapse", "dendrite"} {
		_, err := provision(t, `{"homeserver":{"kind":"`+kind+`","phone_reset":true},"sms":{`+sender+`,"allow":["*"]}}`)
		if err == nil || !strings.Contains(err.Error(), "cannot reset a password by phone") {
			t.Errorf("phone_reset on for %s: got %v", kind, err)
		}
	}
	app := mustProvision(t, `{"sms":{`+sender+`,"allow":["FR"]}}`)
	if p := app.Settings().HTTP.Phones; p == nil || p.Reset || len(app.Settings().SMS.Fraud.Budgets) == 0 {
		t.Errorf("got %+v, want phones without resets, and budgets", p)
	}
}

// TestLongTextsAreTold: a message that takes two segments costs twice.
func TestLongTextsAreTold(t *testing.T) {
	const long = "a-very-long-name-of-a-server-that-nobody-could-remember.matrix.example.org"
	app := mustProvision(t, `{"public_url":"https://`+long+`","mailer":{"type":"file"},"sms":{"senders":{"main":{"type":"file"}},"allow":["FR"]}}`)
	told := 0
	for _, n := range app.Notices() {
		if strings.Contains(n, "more than one segment") {
			told++
		}
	}
	if told == 0 {
		t.Errorf("got notices %v, want one on each message of two segments", app.Notices())
	}
}

// TestPhoneAdmin: what is spent and paused is in the admin API, in the metrics
// and in what the commands say, and a pause can be lifted.
func TestPhoneAdmin(t *testing.T) {
	s := newPhoneSite(t, "allow GB", "price default 0.08", "currency EUR", "resend_after 1ns",
		"budget total messages 500 per day", "budget GB money 40.00 per day", "conversion 0.5 2 1h", "per_client numbers off")
	accepted := s.pump(60, 20)
	s.settle(accepted)
	var status admin.PhoneStatus
	read := func() {
		t.Helper()
		status = admin.PhoneStatus{}
		if err := json.Unmarshal([]byte(s.admins("GET", "sms", nil, http.StatusOK).Body), &status); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if accepted == 0 || accepted > 6 || len(status.Paused) != 1 || status.Paused[0].Country != "GB" || !strings.HasPrefix(status.Paused[0].Prefix, "+4474000") {
		t.Fatalf("%d accepted, got %+v, want one pause of +4474000", accepted, status)
	}
	if want := fmt.Sprintf("%.2f", float64(accepted)*0.08); status.Currency != "EUR" || len(status.Budgets) != 2 || status.Budgets[1].Used != want {
		t.Errorf("got budgets %+v, want %s used", status.Budgets, want)
	}
	if len(status.Senders) != 1 || status.Senders[0].Sent != uint64(accepted) {
		t.Errorf("got senders %+v", status.Senders)
	}
	if got := s.metric("caddy_threepid_sms_segments_total"); got < float64(accepted) {
		t.Errorf("got metric %v, want at least %d", got, accepted)
	}
	if got := s.metric("caddy_threepid_sms_budget_used"); got == 0 {
		t.Error("the budgets are not in the metrics")
	}
	text, err := s.command("sms")
	if err == nil || !strings.Contains(text, "Nothing is sent to +4474000") || !strings.Contains(text, "sms-resume") {
		t.Errorf("got %q, %v", text, err)
	}
	if text, err = s.command("status"); !strings.Contains(text, "+4474000") {
		t.Errorf("status: got %q, %v", text, err)
	}
	if text, err = s.command("sms-resume", "--prefix", "+449999999"); err == nil || !strings.Contains(text, "no such pause") {
		t.Errorf("got %q, %v", text, err)
	}
	if text, err = s.command("sms-resume", "--prefix", status.Paused[0].Prefix); err != nil || !strings.Contains(text, "lifted") {
		t.Errorf("got %q, %v", text, err)
	}
	if read(); len(status.Paused) != 0 {
		t.Errorf("got %+v after it was lifted", status.Paused)
	}
	s.admins("POST", "sms/resume", stack.Object{}, http.StatusBadRequest)
	s.admins("POST", "sms/resume", stack.Object{"prefix": "+44", "all": true}, http.StatusBadRequest)
	if text := s.log("caddy.log"); strings.Contains(text, "4474000") {
		t.Error("the log has numbers, or the beginnings of some")
	}
}

// TestPausedNetworksAreShown by a pseudonym, wherever prefixes are, and can be resumed.
func TestPausedNetworksAreShown(t *testing.T) {
	s := newPhoneSite(t, "allow GB", "budget total messages 500 per day", "resend_after 1ns", "per_client part off")
	if accepted := s.pump(20, 20); accepted != 15 { // of one /24, which nobody answers
		t.Errorf("%d were accepted, want 15", accepted)
	}
	var status admin.PhoneStatus
	if err := json.Unmarshal([]byte(s.admins("GET", "sms", nil, http.StatusOK).Body), &status); err != nil {
		t.Fatal(err)
	}
	if len(status.Paused) != 1 || !strings.HasPrefix(status.Paused[0].Network, "network-") || status.Paused[0].Prefix+status.Paused[0].Country != "" {
		t.Fatalf("got %+v, want one network paused", status.Paused)
	}
	name := status.Paused[0].Network
	if got := s.metric("caddy_threepid_sms_paused_networks"); got != 1 {
		t.Errorf("the metric says %v", got)
	}
	text, err := s.command("sms")
	if err != nil || !strings.Contains(text, "Nothing is sent for the clients of "+name+" from ") || !strings.Contains(text, "sms-resume --network "+name) {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err = s.command("sms-resume", "--network", name, "--all"); err == nil {
		t.Error("both one network and all are taken")
	}
	if text, err = s.command("sms-resume", "--network", name); err != nil || !strings.Contains(text, "lifted") {
		t.Errorf("got %q, %v", text, err)
	}
	if got := s.metric("caddy_threepid_sms_paused_networks"); got != 0 {
		t.Errorf("the metric says %v after it was lifted", got)
	}
	if text := s.log("caddy.log"); strings.Contains(text, name) {
		t.Error("the log names a network")
	}
}

// TestTestSMS: an operator tries the gateway out, and pays for it.
func TestTestSMS(t *testing.T) {
	s := newPhoneSite(t, "allow GB", "budget total messages 2 per day", "resend_after 1ns")
	text, err := s.command("send-test", "--to", "+447400123456")
	if err != nil || !strings.Contains(text, "It was taken") {
		t.Fatalf("got %q, %v", text, err)
	}
	s.message("447400123456")
	s.gateway.SetFault(func(smstest.Message) int { return http.StatusUnauthorized })
	if text, err = s.command("send-test", "--to", "+447400123457"); err == nil || !strings.Contains(text, "auth-refused") {
		t.Errorf("got %q, %v, want it to say why", text, err)
	}
	if text, err = s.command("send-test", "--to", "+447400123458"); err == nil {
		t.Errorf("got %q beyond the budget", text)
	}
	s.admins("POST", "send-test", stack.Object{"to": "+1"}, http.StatusBadRequest)
}

// TestPhoneFailover: the next sender takes what the first cannot, and a number
// that is refused is not tried elsewhere.
func TestPhoneFailover(t *testing.T) {
	s := newPhoneSite(t, "allow GB", "resend_after 1ns")
	spare, err := smstest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = spare.Close() })
	second := strings.ReplaceAll(s.sender("spare"), s.gateway.URL(), spare.URL())
	s.mustLoad(s.config("allow GB", "resend_after 1ns", second, "route default to gateway spare"))
	var status atomic.Int64
	status.Store(http.StatusServiceUnavailable)
	s.gateway.SetFault(func(smstest.Message) int { return int(status.Load()) })
	ask := func(number string) {
		t.Helper()
		a := s.settled(func() (stack.Answer, error) { return s.ask(t.Context(), "192.0.2.1", "s"+number, "+"+number, 1) })
		if a.Status != http.StatusOK {
			t.Fatalf("got %d %s", a.Status, a.Body)
		}
	}
	ask("447400000001")
	if _, err := spare.WaitFor(t.Context(), "447400000001"); err != nil {
		t.Fatal(err)
	}
	status.Store(http.StatusBadRequest)
	before := s.metric("caddy_threepid_delivery_failures_total") // of the whole process
	ask("447400000002")
	s.await("the refusal", func() bool { return s.metric("caddy_threepid_delivery_failures_total") > before })
	if got := len(spare.All()); got != 1 {
		t.Errorf("the second sender has %d messages, want 1", got)
	}
	if text := s.log("caddy.log"); strings.Contains(text, "447400000") {
		t.Error("the log has a number")
	}
}

// TestFileSMS: on a laptop, messages go into a folder.
func TestFileSMS(t *testing.T) {
	s := newPhoneSite(t, "allow GB")
	folder := s.path("sms")
	s.mustLoad(strings.Replace(s.config("allow GB"), s.sender("gateway"), "sender laptop file {\npath "+folder+"\n}", 1))
	a := s.settled(func() (stack.Answer, error) { return s.ask(t.Context(), "192.0.2.1", "s", "+447400000001", 1) })
	if a.Status != http.StatusOK {
		t.Fatalf("got %d %s", a.Status, a.Body)
	}
	s.await("the file", func() bool {
		files, err := filepath.Glob(filepath.Join(folder, "*.json"))
		if err != nil || len(files) != 1 {
			return false
		}
		raw, err := os.ReadFile(files[0])
		return err == nil && strings.Contains(string(raw), "447400000001")
	})
	if !strings.Contains(s.log("caddy.log"), "written into a folder and not sent") {
		t.Error("nobody is told that messages are not sent")
	}
}
