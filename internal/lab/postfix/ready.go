// SPDX-License-Identifier: Apache-2.0

package postfix

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"
)

// startLimit is how long a server may take to answer.
const startLimit = 2 * time.Minute

// await waits until both ports are answered.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := s.hello(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.main.Gone():
			return fmt.Errorf("postfix ended: %w", s.main.Err())
		case <-ctx.Done():
			return fmt.Errorf("postfix does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Server) hello(ctx context.Context) error {
	plain, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return err
	}
	defer plain.Close()
	secured, err := (&tls.Dialer{Config: &tls.Config{RootCAs: s.CAPool(), MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", s.AddrTLS())
	if err != nil {
		return err
	}
	defer secured.Close()
	for _, c := range []net.Conn{plain, secured} {
		deadline, _ := ctx.Deadline()
		if err := c.SetDeadline(deadline); err != nil {
			return err
		}
		greeting, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.HasPrefix(greeting, "220 ") {
			return fmt.Errorf("got greeting %q: %w", greeting, err)
		}
	}
	return nil
}
