// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

var rsaKey = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func ed25519Key(t *testing.T) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// verify checks the signatures of a message as a receiver does.
func verify(t *testing.T, raw []byte, key crypto.Signer) error {
	t.Helper()
	kind, public := "ed25519", []byte(nil)
	switch key := key.Public().(type) {
	case ed25519.PublicKey:
		public = key
	case *rsa.PublicKey:
		kind = "rsa"
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		public = der
	}
	got, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if name != "sel._domainkey.example.org" {
			return nil, errors.New("no such record: " + name)
		}
		return []string{"v=DKIM1; k=" + kind + "; p=" + base64.StdEncoding.EncodeToString(public)}, nil
	}})
	if err != nil {
		return err
	}
	if len(got) != 1 || got[0].Domain != "example.org" {
		t.Fatalf("got %d verifications", len(got))
	}
	return got[0].Err
}

func signed(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	m := sample()
	m.Subject, m.Text = "Bestätigen", strings.Repeat("Grüße ", 100)+"\n\n"
	m.ListUnsubscribe, m.Language = "https://matrix.example.org/stop?t=abc", "de"
	m.DKIM = &DKIM{Domain: "example.org", Selector: "sel", Signer: key}
	if err := m.DKIM.Validate(); err != nil {
		t.Fatal(err)
	}
	raw, err := Compose(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestDKIMVerifiesWhereItArrives(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(), "Ed25519": ed25519Key(t)} {
		raw := signed(t, key)
		server := startServer(t, smtptest.Options{Mode: smtptest.STARTTLS})
		if err := connectTo(t, server, SMTPConfig{}).Send(t.Context(), sender, reader, raw); err != nil {
			t.Fatal(err)
		}
		got := server.Messages()[0].Raw
		if err := verify(t, got, key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// Relaxed: what relays do to a message on its way is forgiven.
		got = bytes.ReplaceAll(got, []byte("Subject: "), []byte("SUBJECT:   "))
		if err := verify(t, append([]byte("Received: from a\r\n by b\r\n"), append(got, "\r\n\r\n"...)...), key); err != nil {
			t.Errorf("%s, after a relay: %v", name, err)
		}
		if !strings.Contains(string(raw), "c=relaxed/relaxed") {
			t.Errorf("%s: got %q", name, raw[:300])
		}
		for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
			if len(line) > maxLine {
				t.Errorf("%s: got a line of %d octets", name, len(line))
			}
		}
	}
}

// Each field that a reader acts upon can neither be changed, nor be put in
// front a second time, nor be added where it was not (RFC 6376 §8.15).
func TestDKIMCoversWhatReadersActUpon(t *testing.T) {
	key := ed25519Key(t)
	raw := signed(t, key)
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-Id"} {
		twice := append([]byte(name+": evil@x.test\r\n"), raw...)
		if err := verify(t, twice, key); err == nil {
			t.Errorf("a second %s passes", name)
		}
	}
	for _, name := range []string{
		"From", "To", "Subject", "Date", "Message-Id", "Auto-Submitted", "X-Auto-Response-Suppress", "List-Unsubscribe", "List-Unsubscribe-Post",
		"Content-Language", "Mime-Version", "Content-Type",
	} {
		changed := bytes.Replace(raw, []byte("\r\n"+name+": "), []byte("\r\n"+name+": x"), 1)
		if bytes.Equal(changed, raw) {
			t.Fatalf("there is no field %s", name)
		}
		if err := verify(t, changed, key); err == nil {
			t.Errorf("a changed %s passes", name)
		}
	}
	if err := verify(t, append(bytes.Clone(raw), "more\r\n"...), key); err == nil {
		t.Error("more text passes")
	}
}

// RFC 8058 §4: without this, mail programs show no button.
func TestDKIMCoversTheOneClickUnsubscription(t *testing.T) {
	raw := string(signed(t, ed25519Key(t)))
	_, fields, _ := strings.Cut(strings.NewReplacer("\r\n", "", " ", "", "\t", "").Replace(raw[:strings.Index(raw, "\r\nDate: ")]), ";h=")
	fields, _, _ = strings.Cut(fields, ";")
	for _, want := range []string{"List-Unsubscribe", "List-Unsubscribe-Post", "From:From", "To:To", "Subject:Subject", "Date:Date", "Message-Id:Message-Id"} {
		if !strings.Contains(":"+fields+":", ":"+want+":") {
			t.Errorf("got h=%s, want %s in it", fields, want)
		}
	}
}

type oddKey struct{ public crypto.PublicKey }

func (k oddKey) Public() crypto.PublicKey { return k.public }

func (oddKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the key is locked away")
}

func TestDKIMIsRefusedWithAReason(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := ed25519Key(t)
	for name, test := range map[string]struct {
		dkim DKIM
		want string
	}{
		"no domain":      {DKIM{Selector: "sel", Signer: good}, "domain"},
		"a bare domain":  {DKIM{Domain: "localhost", Selector: "sel", Signer: good}, "domain"},
		"tags":           {DKIM{Domain: "example.org; l=0", Selector: "sel", Signer: good}, "domain"},
		"a literal":      {DKIM{Domain: "[192.0.2.1]", Selector: "sel", Signer: good}, "domain"},
		"no selector":    {DKIM{Domain: "example.org", Signer: good}, "selector"},
		"a bad selector": {DKIM{Domain: "example.org", Selector: "a..b", Signer: good}, "selector"},
		"CRLF":           {DKIM{Domain: "example.org", Selector: "a\r\nBcc: x", Signer: good}, "selector"},
		"no key":         {DKIM{Domain: "example.org", Selector: "sel"}, "needs a key"},
		"a short key":    {DKIM{Domain: "example.org", Selector: "sel", Signer: weak}, "1024 bits, fewer than 2048"},
		"a curve":        {DKIM{Domain: "example.org", Selector: "sel", Signer: curve}, "RSA or Ed25519"},
	} {
		if err := test.dkim.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
	m := sample()
	m.DKIM = &DKIM{Domain: "example.org", Selector: "sel", Signer: oddKey{good.Public()}}
	if raw, err := Compose(m); err == nil || raw != nil {
		t.Errorf("got %q, %v from a key that does not sign, want an error", raw, err)
	}
	if _, err := m.DKIM.Sign([]byte("no header")); !errors.Is(err, errHeader) {
		t.Errorf("got %v, want %v", err, errHeader)
	}
}
