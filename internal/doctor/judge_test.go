// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// judged runs one judgement and returns the code that it ends with.
func judged(o Options, judge func(*session, *results)) string {
	s := &session{opts: o.withDefaults(), web: newWeb(o.withDefaults())}
	r := &results{check: &check{name: checkTrust, good: "Good."}, session: s}
	judge(s, r)
	r.close()
	return strings.Join(codesOf(Report{Findings: r.findings}), " ")
}

// TestTrustJudgements: the answers of homeserver families, as they are on the
// wire, each before and after our side was asked.
func TestTrustJudgements(t *testing.T) {
	tests := []struct {
		name           string
		status         int
		errcode, text  string
		called, native bool
		want           string
	}{
		{"Synapse 1.3.1 that asked", 401, "M_UNAUTHORIZED", "", true, false, codeOK},
		{"Synapse 1.3.1 that did not", 401, "M_UNAUTHORIZED", "", false, false, codeNotTrusted},
		{"a UIA answer without an errcode", 401, "", "", true, false, codeOK},
		{"the same without having asked", 401, "", "", false, false, codeNotTrusted},
		{"native, but it asked", 401, "M_UNAUTHORIZED", "", true, true, codeOK},
		{"native", 401, "M_UNAUTHORIZED", "", false, true, codeNative},
		{"Dendrite", 401, "M_MISSING_TOKEN", "Missing access token", false, false, codeResetUnsupported},
		{"Synapse 1.3.1, off at completion", 400, "M_UNKNOWN", "Password resets are not enabled on this homeserver", false, false, codeResetDisabled},
		{"Synapse 1.3.1, off at requestToken", 400, "M_UNKNOWN", "Email-based password resets have been disabled on this server", false, false, codeResetDisabled},
		{"another 400", 400, "M_BAD_JSON", "Bad JSON", false, false, codeUnexpected},
		{"Synapse 1.3.1 without our authority", 500, "M_UNKNOWN", "Internal server error", false, false, codeCannotReachUs},
		{"Dendrite without our authority", 500, "", "", false, false, codeCannotReachUs},
		{"an answer of ours it did not like", 500, "M_UNKNOWN", "Internal server error", true, false, codeHomeserverError},
		{"Sydent", 404, "M_NO_VALID_SESSION", "No valid session was found", false, false, codeWrongIdentity},
		{"Sydent, other words", 400, "M_SESSION_NOT_VALIDATED", "", false, false, codeWrongIdentity},
		{"no endpoint", 404, "M_UNRECOGNIZED", "", false, false, codeResetUnsupported},
		{"no such user", 404, "M_NOT_FOUND", "", false, false, codeResetUnsupported},
		{"forbidden", 403, "M_FORBIDDEN", "", false, false, codeUnexpected},
		{"a teapot", 418, "", "", false, false, codeUnexpected},
	}
	for _, tt := range tests {
		got := judged(Options{IdentityName: identityName}, func(s *session, r *results) {
			s.native = tt.native
			refusal := matrixError{tt.errcode, tt.text}
			if tt.status == 401 {
				s.judgeUnauthorized(r, refusal, tt.called)
			} else {
				s.judgeRefusal(r, tt.status, refusal, tt.called)
			}
		})
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestCertificatesAreRenewedInTime: a sixth of the life, whatever that is.
func TestCertificatesAreRenewedInTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	tests := []struct {
		life, left time.Duration
		want       string
	}{
		{12 * time.Hour, 4 * time.Hour, codeOK},
		{12 * time.Hour, 2 * time.Hour, codeOK},
		{12 * time.Hour, 2*time.Hour - time.Second, CodeCertExpiresSoon},
		{90 * day, 30 * day, codeOK},
		{90 * day, 14 * day, CodeCertExpiresSoon},
		{6 * day, 2 * day, codeOK},
		{10 * 365 * day, 365 * day, CodeCertExpiresSoon},
	}
	for _, tt := range tests {
		cert := &x509.Certificate{NotBefore: now.Add(tt.left - tt.life), NotAfter: now.Add(tt.left)}
		got := judged(Options{Now: func() time.Time { return now }}, func(s *session, r *results) { s.judgeExpiry(r, cert) })
		if got != tt.want {
			t.Errorf("%s of %s left: got %s, want %s", tt.left, tt.life, got, tt.want)
		}
	}
}

// TestTheWorstClockCounts: most answers come from this very machine.
func TestTheWorstClockCounts(t *testing.T) {
	tests := []struct {
		skews []time.Duration
		want  string
		says  string
	}{
		{nil, "", ""},
		{[]time.Duration{0, 0}, codeOK, ""},
		{[]time.Duration{0, 30 * time.Second}, codeOK, ""},
		{[]time.Duration{31 * time.Second, 0}, codeClockSkew, "31s behind that of host0"},
		{[]time.Duration{0, -31 * time.Second, 10 * time.Second}, codeClockSkew, "31s ahead of that of host1"},
		{[]time.Duration{time.Minute, -5 * time.Minute}, codeClockSkew, "5m0s ahead of that of host1"},
		{[]time.Duration{time.Minute, 301 * time.Second}, codeClockWrong, "5m1s behind that of host1"},
		{[]time.Duration{-365 * 24 * time.Hour}, codeClockWrong, "ahead of that of host0"},
	}
	for _, tt := range tests {
		s := &session{opts: Options{}.withDefaults(), web: newWeb(Options{})}
		for i, skew := range tt.skews {
			s.web.dates = append(s.web.dates, observed{fmt.Sprintf("host%d", i), skew})
		}
		findings := s.clock().findings
		if got := strings.Join(codesOf(Report{Findings: findings}), " "); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.skews, got, tt.want)
		}
		if tt.says != "" && !strings.Contains(findings[0].Problem, tt.says) {
			t.Errorf("%v: got %q, want %q in it", tt.skews, findings[0].Problem, tt.says)
		}
	}
}

// TestFaultsOfErrors that no server of these tests can cause.
func TestFaultsOfErrors(t *testing.T) {
	tests := []struct {
		err    error
		code   string
		detail string
		known  bool
	}{
		{io.ErrUnexpectedEOF, CodeLost, "", true},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, CodeLost, "", true},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}, CodeUnreachable, "network is unreachable", true},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ETIMEDOUT)}, CodeTimeout, "", true},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}, CodeNameUnknown, "server misbehaving", true},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", IsTimeout: true}}, CodeTimeout, "", true},
		{fmt.Errorf("get: %w", tls.RecordHeaderError{Msg: "x"}), CodeTLSNotSpoken, "", true},
		{errors.New("tls: no application protocol"), CodeTLSFailed, "no application protocol", true},
		{x509.CertificateInvalidError{Reason: x509.TooManyIntermediates}, CodeTLSFailed, "x509: too many intermediates for path length constraint", true},
		{errors.New("malformed HTTP response"), CodeLost, "malformed HTTP response", false},
		{x509.UnknownAuthorityError{}, CodeCertAuthority, "", true},
	}
	for _, tt := range tests {
		got, known := faultOf(tt.err)
		if got.code != tt.code || got.detail != tt.detail || known != tt.known {
			t.Errorf("%v: got %+v, %t, want %s, %q, %t", tt.err, got, known, tt.code, tt.detail, tt.known)
		}
	}
}

// TestNamesOfACertificate are told, but not all thousand of them.
func TestNamesOfACertificate(t *testing.T) {
	tests := []struct {
		cert x509.Certificate
		want string
	}{
		{x509.Certificate{}, "no host at all"},
		{x509.Certificate{DNSNames: []string{"a.example"}}, "a.example"},
		{x509.Certificate{DNSNames: []string{"a.example"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}, "a.example, 192.0.2.1"},
		{x509.Certificate{DNSNames: []string{"a", "b", "c", "d", "e"}}, "a, b, c, d and others"},
	}
	for _, tt := range tests {
		if got := certificateNames(&tt.cert); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// TestDKIMRecords: RFC 6376 §3.6.1 and RFC 8463, and how they are published in
// earnest.
func TestDKIMRecords(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkix, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	edInPKIX, err := x509.MarshalPKIXPublicKey(dkimKey)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	long, old, short := b64(pkix), b64(x509.MarshalPKCS1PublicKey(&key.PublicKey)), b64(dkimKey)
	rsaKey, edKey := &DKIM{"example.org", "s1", &key.PublicKey}, &DKIM{"example.org", "s1", dkimKey}
	tests := []struct {
		key    *DKIM
		record string
		want   string
	}{
		{rsaKey, "v=DKIM1; k=rsa; p=" + long, codeOK},
		{rsaKey, "p=" + long, codeOK},
		{rsaKey, "v=DKIM1;k=RSA;h=sha256;s=email;t=s;n=a note;p=" + long[:100] + " \t" + long[100:] + ";", codeOK},
		{rsaKey, "v=DKIM1; p=" + old, codeOK},
		{rsaKey, "v=DKIM1; p=" + long[:200], codeDKIMSyntax},
		{rsaKey, "v=DKIM1; p=" + b64(edInPKIX), codeDKIMSyntax},
		{rsaKey, "v=DKIM1; k=ed25519; p=" + short, codeDKIMKeyType},
		{rsaKey, "v=DKIM2; p=" + long, codeDKIMSyntax},
		{rsaKey, "v=DKIM1; p=" + long + "; p=" + long, codeDKIMSyntax},
		{rsaKey, "v=DKIM1; k=rsa", codeDKIMSyntax},
		{rsaKey, "v=DKIM1; p=", codeDKIMRevoked},
		{edKey, "v=DKIM1; k=ed25519; p=" + short, codeOK},
		{edKey, "v=DKIM1; k=ed25519; p=" + b64(edInPKIX), codeDKIMSyntax},
		{edKey, "v=DKIM1; k=rsa; p=" + long, codeDKIMKeyType},
		{edKey, "v=DKIM1; k=ed25519; t=y; p=" + short, codeDKIMTesting},
		{edKey, "v=DKIM1; k=ed25519; t=y; p=" + b64(make([]byte, ed25519.PublicKeySize)), codeDKIMMismatch},
		{&DKIM{"example.org", "s1", "no key"}, "v=DKIM1; p=" + long, codeDKIMKeyType},
	}
	for _, tt := range tests {
		// Texts that are no keys may stand beside the key.
		for _, records := range [][]string{{tt.record}, {"hello", tt.record}} {
			if strings.Count(tt.record, "p=") == 0 && len(records) > 1 {
				continue
			}
			z := zone{dkimAt: records}
			for _, f := range Run(t.Context(), Options{Resolver: resolver{t, z}, Domains: []Domain{{From: "example.org", DKIM: tt.key}}}).Findings {
				if f.Check == checkDKIM && f.Code != tt.want {
					t.Errorf("%q: got %s, want %s", records, f.Code, tt.want)
				}
			}
		}
	}
}

// TestPublicHosts: what people elsewhere can reach, as far as a name tells.
func TestPublicHosts(t *testing.T) {
	tests := map[string]bool{
		"matrix.example.org": true, "matrix_test.example.org": true, "192.0.2.1": true, "2001:db8::1": true, "xn--mller-kva.example": true,
		"localhost": false, "LOCALHOST.": false, "matrix": false, "127.0.0.1": false, "::1": false, "10.0.0.1": false, "192.168.1.1": false,
		"169.254.1.1": false, "fe80::1": false, "fd00::1": false, "0.0.0.0": false, "matrix.lan": false, "matrix.local": false, "matrix.internal": false,
	}
	for host, want := range tests {
		if got := !notPublic(host); got != want {
			t.Errorf("%s: got %t, want %t", host, got, want)
		}
	}
}

// TestWithin: a file and a folder, in ways that people write them.
func TestWithin(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "store", "keys.json")
	if err := os.MkdirAll(filepath.Join(dir, "store", "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "sto"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]bool{
		dir: true, filepath.Join(dir, "store"): true, filepath.Join(dir, "store") + "/../store/": true,
		filepath.Join(dir, "store", "deep"): false, filepath.Join(dir, "sto"): false, filepath.Join(dir, "none"): false, "": false,
	} {
		if got := within(file, folder); got != want {
			t.Errorf("%s: got %t, want %t", folder, got, want)
		}
	}
	if within(filepath.Join(dir, "none"), dir) {
		t.Error("a file that does not exist lies nowhere")
	}
	if err := errors.New("plain"); !errors.Is(cause(err), err) || !errors.Is(cause(&fs.PathError{Path: "/secret", Err: fs.ErrPermission}), fs.ErrPermission) {
		t.Error("the cause is not the cause")
	}
}

// TestOutboxThresholds: what is waiting, and how much of it.
func TestOutboxThresholds(t *testing.T) {
	tests := []struct {
		status OutboxStatus
		want   string
	}{
		{OutboxStatus{}, codeOK},
		{OutboxStatus{Depth: 1, Max: 10, Oldest: 5 * time.Minute}, codeOK},
		{OutboxStatus{Depth: 1, Max: 10, Oldest: 5*time.Minute + 1}, codeOutboxOld},
		{OutboxStatus{Depth: 8, Max: 10}, codeOK},
		{OutboxStatus{Depth: 9, Max: 10}, codeOutboxNearlyFull},
		{OutboxStatus{Depth: 10, Max: 10}, codeOutboxFull},
		{OutboxStatus{Depth: 11, Max: 10, Oldest: time.Hour}, codeOutboxOld + " " + codeOutboxFull},
		{OutboxStatus{Relays: []RelayStatus{
			{Name: "a"}, {Name: "b", LastError: "x"}, {Name: "c", Stopped: true, LastError: "y"},
		}}, codeRelayFailing + " " + codeRelayStopped},
	}
	for _, tt := range tests {
		r := Run(t.Context(), Options{Outbox: func(context.Context) (OutboxStatus, error) { return tt.status, nil }})
		if got := strings.Join(codesOf(r), " "); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.status, got, tt.want)
		}
	}
}
