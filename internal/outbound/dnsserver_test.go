// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// dnsServer is a name server on loopback whose answers last for no time at all,
// as those of a rebinding name do.
type dnsServer struct {
	conn    net.PacketConn
	answers func(look int) []netip.Addr
	looks   int
}

// newDNSServer starts a server that answers the nth question for A records (and
// the AAAA question that comes with it: those are not counted) by answers(n).
func newDNSServer(t *testing.T, answers func(look int) []netip.Addr) *dnsServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dnsServer{conn: conn, answers: answers}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serve()
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return s
}

// resolver is Go's own, asking this server only.
func (s *dnsServer) resolver() Resolver {
	return &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

func (s *dnsServer) serve() {
	buf := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var query dnsmessage.Message
		if query.Unpack(buf[:n]) != nil || len(query.Questions) != 1 {
			continue
		}
		if packed, err := s.answer(query).Pack(); err == nil {
			_, _ = s.conn.WriteTo(packed, from)
		}
	}
}

func (s *dnsServer) answer(query dnsmessage.Message) *dnsmessage.Message {
	question := query.Questions[0]
	reply := &dnsmessage.Message{Questions: query.Questions}
	reply.ID, reply.Response, reply.RecursionAvailable = query.ID, true, true
	if question.Type != dnsmessage.TypeA {
		return reply
	}
	head := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET}
	s.looks++
	for _, addr := range s.answers(s.looks) {
		reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: addr.As4()}})
	}
	return reply
}
