// SPDX-License-Identifier: Apache-2.0

package fakeis

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for host, want := range map[string]string{"": "localhost", "127.0.0.1": "127.0.0.1", "is.example": "is.example"} {
		s, err := Start(Options{Host: host})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := s.Name(), fmt.Sprintf("%s:%d", want, s.Port()); got != want {
			t.Errorf("host %q: got %q, want %q", host, got, want)
		}
		// The certificate is for the name and for where it really is.
		for _, name := range []string{want, "localhost", "127.0.0.1"} {
			c := client(t, s)
			c.Transport.(*http.Transport).TLSClientConfig.ServerName = name
			resp, err := c.Get(fmt.Sprintf("https://127.0.0.1:%d%s", s.Port(), StatusPath))
			if err != nil {
				t.Errorf("host %q, as %s: %v", host, name, err)
				continue
			}
			_ = resp.Body.Close()
		}
		s.Close()
	}
}

func TestAuthority(t *testing.T) {
	s, other := start(t), start(t)
	c := client(t, other)
	if _, err := c.Get("https://" + s.Name() + StatusPath); err == nil {
		t.Error("the authority of one server vouches for another")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(s.CertificatePEM()) || !pool.Equal(s.Pool()) {
		t.Error("the PEM form is not the certificate in the pool")
	}
	// What a test adds to its pool is its own business.
	s.Pool().AppendCertsFromPEM(other.CertificatePEM())
	if !pool.Equal(s.Pool()) {
		t.Error("the pool is shared")
	}
}

func TestConnections(t *testing.T) {
	s := start(t)
	if got := s.Connections(); got != 0 {
		t.Errorf("got %d at the start", got)
	}
	mustDo(t, s, http.MethodGet, StatusPath, "", "")
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port()))
	if err != nil {
		t.Fatal(err)
	}
	// One that says nothing counts. The server accepts in order, so that the third
	// being answered means that the second was counted.
	mustDo(t, s, http.MethodGet, StatusPath, "", "")
	_ = conn.Close()
	if got := s.Connections(); got != 3 {
		t.Errorf("got %d, want 3", got)
	}
	if got := len(s.Requests()); got != 2 {
		t.Errorf("got %d requests, want 2", got)
	}
}

func TestRequests(t *testing.T) {
	s := start(t)
	mustDo(t, s, http.MethodPost, BindPath+"?a=%20b", "alice-token", goodBind)
	got := s.Requests()
	if len(got) != 1 {
		t.Fatalf("got %d requests, want 1", len(got))
	}
	r := got[0]
	if r.Method != http.MethodPost || r.Path != BindPath || r.Query != "a=%20b" ||
		r.Header.Get("Authorization") != "Bearer alice-token" || string(r.Body) != goodBind {
		t.Errorf("got %+v", r)
	}
	// The answer is a copy.
	r.Body[0], r.Header["Authorization"][0] = 'x', "x"
	if again := s.Requests()[0]; again.Body[0] != '{' || again.Header.Get("Authorization") == "x" {
		t.Error("what was handed out is shared")
	}
	s.FailNext(1, 500, "M_UNKNOWN", "")
	mustDo(t, s, http.MethodGet, "/"+strings.Repeat("a", 10)+"%2F", "", "")
	if got := s.Requests(); len(got) != 2 || got[1].Path != "/aaaaaaaaaa%2F" {
		t.Errorf("got %+v, want the faulted request too, as it was sent", got)
	}
	s.ResetRequests()
	if got := s.Requests(); len(got) != 0 {
		t.Errorf("got %d after the reset", len(got))
	}
}

func TestCloseTwice(t *testing.T) {
	s := start(t)
	s.Close()
	s.Close()
}
