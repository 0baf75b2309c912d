// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// fixtures is a folder with files that are right and files that are not, for
// options that name one.
func fixtures(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	certificate, key := selfSigned(t)
	files := map[string][]byte{
		"certificate.pem": certificate, "certificate.key": key, "empty": {}, "words": []byte("some words\n"),
		"ed25519.pem": privateKey(t), "weak.pem": weakKey(t),
		"keys.json":                           []byte(`{"version":1,"keys":[{"id":1,"secret":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}]}`),
		"newer.json":                          []byte(`{"version":2,"keys":[]}`),
		"nokeys.json":                         []byte(`{"version":1,"keys":[]}`),
		"short.json":                          []byte(`{"version":1,"keys":[{"id":1,"secret":"AAAA"}]}`),
		"torn.json":                           []byte(`{"version":1,"keys":[{"id":1,"sec`),
		"domains.txt":                         []byte("# disposable\nspam.example\n"),
		"badlist.txt":                         []byte("spam.example\nnot a domain\n"),
		"logo.svg":                            []byte(`<svg xmlns="http://www.w3.org/2000/svg"></svg>`),
		"logo.png":                            []byte("not a picture"),
		"big.svg":                             append([]byte("<svg>"), make([]byte, 65<<10)...),
		"broken/en/words.txt":                 []byte(`{{define "register subject"}}Hello {{.Nobody}}{{end}}` + "\n"),
		"words.d/en/words.txt":                []byte(`{{define "register subject"}}Welcome to {{.Server}}{{end}}` + "\n"),
		"language/englisch!/words.txt":        []byte("x"),
		"layouts/layout/mail.txt":             []byte("no link in here"),
		"pale/layout/look.txt":                []byte(`{{define "light accent"}}#eeeeee{{end}}`),
		"brands/brands/acme/layout/look.txt":  []byte(`{{define "light accent"}}#004488{{end}}`),
		"strange/brands/acme/layout/mail.htm": []byte("x"),
	}
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func inPEM(kind string, der []byte, err error, t *testing.T) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func selfSigned(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	certificate = inPEM("CERTIFICATE", der, err, t)
	der, err = x509.MarshalPKCS8PrivateKey(private)
	return certificate, inPEM("PRIVATE KEY", der, err, t)
}

func privateKey(t *testing.T) []byte {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	return inPEM("PRIVATE KEY", der, err, t)
}

// weakKey has 1,024 bits.
func weakKey(t *testing.T) []byte {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private), nil, t)
}
