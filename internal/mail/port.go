// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// checkPort refuses what the port itself says to be wrong (RFC 8314 §3.3, §7.3;
// RFC 6409 §3.1): every mail would wait until it fails.
func (c *SMTPConfig) checkPort(string) error {
	_, port, _ := net.SplitHostPort(c.Address) // which Validate has done, too
	switch {
	case port == "465" && c.TLS == STARTTLS:
		return fmt.Errorf("tls: port 465 speaks TLS from the first byte, and starttls waits for a greeting; write: tls %s", ImplicitTLS)
	case (port == "25" || port == "587") && c.TLS == ImplicitTLS:
		return fmt.Errorf("tls: port %s begins in plain text, and is secured by STARTTLS; write: tls %s", port, STARTTLS)
	}
	return nil
}

// hush is how long a greeting may take before a check tries whether the port
// expects TLS.
const hush = 2 * time.Second

// askTLS finds out whether the relay's port speaks TLS from the first byte, if
// there is no greeting soon. The answer comes when it is asked for.
func (s *SMTP) askTLS(ctx context.Context) (answer func() bool) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ConnectTimeout)
	result := make(chan bool, 1)
	timer := time.AfterFunc(min(hush, s.cfg.ConnectTimeout/4), func() { result <- s.speaksTLS(ctx) })
	return func() bool {
		defer cancel()
		if timer.Stop() {
			return false
		}
		return <-result
	}
}

func (s *SMTP) speaksTLS(ctx context.Context) bool {
	raw, err := s.dial(ctx, "tcp", s.cfg.Address)
	if err != nil {
		return false
	}
	defer raw.Close()
	err = tls.Client(raw, s.tls).HandshakeContext(ctx)
	word := ""
	if err != nil {
		word = tlsReason(err)
	}
	return err == nil || (word != "" && word != ReasonNoTLS) // a bad certificate is one
}
