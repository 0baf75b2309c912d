// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// identity looks at the site that the homeserver calls: its certificate, and
// that it is ours and not the public one. A path that every homeserver serves
// and our side for it does not tells the two apart.
func (s *session) identity(ctx context.Context, r *results) {
	u, err := url.Parse("https://" + s.opts.IdentityName)
	if err != nil || u.Hostname() == "" {
		r.report(codeURLInvalid, "The identity name is not a host.")
		return
	}
	u = u.JoinPath("/_matrix/client/versions")
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "443")
	}
	conn, err := s.dialIdentity(ctx, address, u.Hostname())
	if err != nil {
		f, _ := faultOf(err)
		r.reportFault(u.Host, f)
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	s.judgeExpiry(r, conn.ConnectionState().PeerCertificates[0])
	a, err := s.askIdentity(ctx, conn, u)
	if err != nil {
		f, _ := faultOf(err)
		if ctx.Err() != nil {
			f = fault{code: CodeTimeout} // we have closed it ourselves
		}
		r.reportFault(u.Host, f)
		return
	}
	var refusal matrixError
	if a.status != http.StatusNotFound || !a.object(&refusal) || refusal.Errcode != "M_UNRECOGNIZED" {
		r.report(codeWrongSite, "Something else than the site for the homeserver answers at %s (%s).", u.Host, a.kind())
	}
}

func (s *session) dialIdentity(ctx context.Context, address, host string) (*tls.Conn, error) {
	raw, err := s.opts.IdentityDial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{
		RootCAs: s.opts.IdentityRoots, ServerName: host, Time: s.opts.Now, MinVersion: tls.VersionTLS12,
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close() // it is of no use
		return nil, err
	}
	return conn, nil
}

// judgeExpiry wants a certificate to be renewed in time. What that is depends on
// its life: those of `tls internal` live for half a day, others for months. All
// are renewed when a third is left.
func (s *session) judgeExpiry(r *results, c *x509.Certificate) {
	left := c.NotAfter.Sub(s.opts.Now())
	if left < c.NotAfter.Sub(c.NotBefore)/6 {
		r.report(CodeCertExpiresSoon, "The certificate ends in %s, and was not renewed yet.", left.Round(time.Minute))
	}
}

// askIdentity asks over the connection whose certificate was looked at.
func (s *session) askIdentity(ctx context.Context, conn *tls.Conn, u *url.URL) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	sent := s.opts.Now()
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxAnswer)), req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	s.web.observe(u.Host, resp.Header, sent, s.opts.Now())
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &answer{resp.StatusCode, resp.Header, body}, nil
}
