// SPDX-License-Identifier: Apache-2.0

// Package certs makes certificates for the peers and doubles of tests.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync/atomic"
	"time"
)

// Authority is a certificate authority for tests.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
	pool *x509.CertPool
}

// New makes an authority. Its key never leaves it. OpenSSL finds those of a bundle by
// their names, so each has one of its own.
func New() (*Authority, error) {
	a := &Authority{cert: template("authority " + rand.Text())}
	a.cert.NotBefore = time.Now().Add(-100 * time.Hour)
	a.cert.IsCA, a.cert.BasicConstraintsValid, a.cert.KeyUsage = true, true, x509.KeyUsageCertSign
	root, err := a.Issue(a.cert)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	a.key, _ = root.PrivateKey.(*ecdsa.PrivateKey)
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate[0]})
	a.pool = x509.NewCertPool()
	a.pool.AppendCertsFromPEM(a.pem)
	return a, nil
}

// PEM is the certificate of the authority.
func (a *Authority) PEM() []byte { return a.pem }

// Pool trusts the authority and no other.
func (a *Authority) Pool() *x509.CertPool { return a.pool }

// SelfSigned is an authority for a certificate that signs itself.
func SelfSigned(cert *x509.Certificate) *Authority { return &Authority{cert: cert} }

// Issue makes a key and signs a certificate for it.
func (a *Authority) Issue(cert *x509.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make key: %w", err)
	}
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, signer)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("sign certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func template(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1) + now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// serial tells certificates apart that are made in the same moment.
var serial atomic.Int64

// ServerTemplate is for [Authority.Issue]: a server with these names and
// addresses.
func ServerTemplate(hosts ...string) *x509.Certificate {
	cert := template("server")
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			cert.IPAddresses = append(cert.IPAddresses, ip)
		} else {
			cert.DNSNames = append(cert.DNSNames, host)
		}
	}
	return cert
}

// ClientTemplate is for [Authority.Issue]: a client of that name.
func ClientTemplate(name string) *x509.Certificate {
	cert := template(name)
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return cert
}

// EncodePEM writes a certificate and its key for servers that read files.
func EncodePEM(cert tls.Certificate) (chain, key []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key: %w", err)
	}
	for _, c := range cert.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	return chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
