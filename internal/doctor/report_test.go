// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is a report with everything that has to be laid out.
func sample() Report {
	s := &session{opts: Options{Homeserver: "synapse", IdentityName: "localhost:8443"}.withDefaults()}
	add := func(check, subject, code, problem string) Finding {
		f := Finding{Check: check, Subject: subject, Severity: severityOf(code), Code: code, Problem: problem}
		f.Advice = s.advice(f)
		return f
	}
	return Report{Took: 1234 * time.Millisecond, Findings: []Finding{
		add(checkConfig, "", codeChecksOff, "Nobody is asked whether an address may have a token, as no kind of homeserver is named."),
		add(checkRelay, "smtp.example.org:587", codeOK, "The relay takes our mail: connection, TLS, log-in and sender are accepted."),
		add(checkRelay, "backup.example.org:465", CodeAuthRefused, "The relay refuses the user name or the password (535 5.7.8 Error: authentication failed)."),
		add(checkSPF, "example.org", codeSPFLookups, "The SPF record of example.org needs more than 10 look-ups, where receivers stop with an error (RFC 7208 §4.6.4)."),
		add(checkTrust, "localhost:8443", codeNotTrusted, "The homeserver does not ask localhost:8443 whether an address was verified."),
		add(checkIdentity, "localhost:8443", CodeRefused, "Nothing is listening: localhost:8443 refuses the connection."),
		add(checkClock, "", codeOK, "The clock agrees with those of the servers that answered."),
		add(checkDisk, "/var/lib/threepid", codeDiskLow, "Only 200 MiB are left on the disk of the store."),
	}}
}

func TestTextIsGolden(t *testing.T) {
	tests := []struct {
		name   string
		report Report
	}{
		{"report.txt", sample()},
		{"empty.txt", Report{}},
		{"well.txt", Report{Findings: sample().Findings[:2], Took: 15 * time.Millisecond}},
	}
	for _, tt := range tests {
		var b strings.Builder
		tt.report.Text(&b)
		path := filepath.Join("testdata", tt.name)
		if *update {
			if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, b.String(), want)
		}
	}
}

// TestTextLayout: lines fit, and nothing of a report is lost.
func TestTextLayout(t *testing.T) {
	report := sample()
	report.Findings[2].Problem += " " + strings.Repeat("word ", 100) + strings.Repeat("x", 150) + "."
	var plain strings.Builder
	report.Text(&plain)
	for line := range strings.Lines(plain.String()) {
		if n := len([]rune(line)) - 1; n > textWidth && !strings.Contains(line, "xxx") {
			t.Errorf("got a line of %d characters: %q", n, line)
		}
	}
	words := strings.Join(strings.Fields(plain.String()), " ")
	for _, f := range report.Findings {
		for _, text := range []string{f.Problem, f.Advice, f.Subject} {
			if want := strings.Join(strings.Fields(text), " "); !strings.Contains(words, want) {
				t.Errorf("%s: %q is missing", f.Code, want)
			}
		}
		if f.Code != codeOK && !strings.Contains(words, "["+f.Code+"]") {
			t.Errorf("the code %s is missing", f.Code)
		}
	}
}

func TestExitCode(t *testing.T) {
	tests := []struct {
		severities []Severity
		worst      Severity
		exit       int
	}{
		{nil, OK, 0},
		{[]Severity{OK, OK}, OK, 0},
		{[]Severity{OK, Info}, Info, 0},
		{[]Severity{Info, Warning, OK}, Warning, 1},
		{[]Severity{Error, Warning}, Error, 2},
		{[]Severity{Warning, "new"}, "new", 2},
	}
	for _, tt := range tests {
		var r Report
		for _, s := range tt.severities {
			r.Findings = append(r.Findings, Finding{Severity: s})
		}
		if r.Worst() != tt.worst || r.ExitCode() != tt.exit {
			t.Errorf("%v: got %s and %d, want %s and %d", tt.severities, r.Worst(), r.ExitCode(), tt.worst, tt.exit)
		}
	}
}

// TestJSONForScripts: the names of the members are a promise.
func TestJSONForScripts(t *testing.T) {
	raw, err := json.Marshal(Report{Took: time.Second, Findings: []Finding{
		{Check: "relay", Subject: "r", Severity: Error, Code: "auth_refused", Problem: "p", Advice: "a"}, {Check: "clock", Severity: OK, Code: "ok", Problem: "p"},
	}})
	const want = `{"findings":[` +
		`{"check":"relay","subject":"r","severity":"error","code":"auth_refused","problem":"p","advice":"a"},` +
		`{"check":"clock","severity":"ok","code":"ok","problem":"p"}],"took":1000000000}`
	if err != nil || string(raw) != want {
		t.Errorf("got %s, %v, want %s", raw, err, want)
	}
}

// TestAdviceIsExact: what is to be copied must be right as it stands.
func TestAdviceIsExact(t *testing.T) {
	tests := []struct {
		homeserver, check, code, subject string
		want                             []string
	}{
		{"synapse", checkTrust, codeNotTrusted, "", []string{
			"homeserver.yaml", "\ntrusted_third_party_id_servers: [\"localhost:8443\"]", "email.trust_identity_server_for_password_resets: true",
		}},
		{"dendrite", checkTrust, codeNotTrusted, "", []string{
			"dendrite.yaml", "\nglobal:\n  trusted_third_party_id_servers:\n    - localhost:8443",
		}},
		{"", checkTrust, codeNotTrusted, "", []string{"the homeserver's configuration"}},
		{"synapse", checkTrust, codeResetDisabled, "", []string{"\nemail:\n  trust_identity_server_for_password_resets: true"}},
		{"synapse", checkTrust, codeCannotReachUs, "", []string{"SSL_CERT_FILE", "`caddy threepid ca-bundle`"}},
		{"synapse", checkIdentity, CodeRefused, "", []string{"\nhttps://localhost:8443 {\n\tbind 127.0.0.1\n\ttls internal\n\tthreepid_identity\n}"}},
		{"synapse", checkKeyFile, codeKeyMode, "/var/lib/keys.json", []string{"chmod 600 /var/lib/keys.json"}},
		{"synapse", checkDMARC, codeDMARCMissing, "example.org", []string{"_dmarc.example.org", "v=DMARC1; p=none"}},
	}
	for _, tt := range tests {
		s := &session{opts: Options{Homeserver: tt.homeserver, IdentityName: "localhost:8443"}.withDefaults()}
		got := s.advice(Finding{Check: tt.check, Code: tt.code, Severity: severityOf(tt.code), Subject: tt.subject})
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s %s: got %q, want %q in it", tt.homeserver, tt.code, got, want)
			}
		}
	}
}
