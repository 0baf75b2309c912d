// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"crypto/tls"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
)

// CertificateFault is what is wrong with a server's certificate. One for
// another host is made by [Options.Hosts].
type CertificateFault uint8

// The faults. Whatever the fault is, the authority is a good one.
const (
	NoFault CertificateFault = iota
	Expired
	NotYetValid
	SelfSigned
	ExpiresSoon // which is no fault yet
)

// makeCertificate makes an authority that signs the server's certificate, and
// one for a client, and is then forgotten.
func (s *Server) makeCertificate() (tls.Certificate, error) {
	ca, err := certs.New()
	if err != nil {
		return tls.Certificate{}, err
	}
	s.caPEM, s.pool = ca.PEM(), ca.Pool()
	hosts := s.opts.Hosts
	if hosts == nil {
		hosts = []string{"localhost", "127.0.0.1"}
	}
	leaf, now, signer := certs.ServerTemplate(hosts...), time.Now(), ca
	switch s.opts.Certificate {
	case NoFault:
	case Expired:
		leaf.NotBefore, leaf.NotAfter = now.Add(-50*time.Hour), now.Add(-time.Hour)
	case NotYetValid:
		leaf.NotBefore = now.Add(time.Hour)
	case SelfSigned:
		signer = certs.SelfSigned(leaf)
	case ExpiresSoon:
		leaf.NotAfter = now.Add(24 * time.Hour)
	}
	cert, err := signer.Issue(leaf)
	if err != nil {
		return tls.Certificate{}, err
	}
	s.client, err = ca.Issue(certs.ClientTemplate("smtptest client"))
	return cert, err
}

// ClientCertificate is one that the server trusts, see [Options.ClientCert].
func (s *Server) ClientCertificate() tls.Certificate { return s.client }
