// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
)

// newFront starts a front with an authority of its own for the length of a test.
func newFront(t *testing.T) (*Front, *certs.Authority) {
	t.Helper()
	authority, err := certs.New()
	if err != nil {
		t.Fatal(err)
	}
	front, err := NewFront(authority, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Stop)
	return front, authority
}

// get asks for a URL, trusting one authority.
func get(t *testing.T, url string, authority *certs.Authority) (status int, body string, err error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: authority.Pool(), MinVersion: tls.VersionTLS12},
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content), nil
}

func TestFrontPassesRequestsAsTheyCome(t *testing.T) {
	front, authority := newFront(t)
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RequestURI+" for "+r.Host+" from "+r.Header.Get("X-Forwarded-For"))
	}))
	defer behind.Close()
	const path = "/user/@ada:localhost%3A1/a%2Fb//c?q=%41&q=b"

	if status, _, err := get(t, front.URL()+path, authority); status != http.StatusBadGateway || err != nil {
		t.Errorf("before Forward: got %d, %v; want 502", status, err)
	}
	for _, bad := range []string{"", "localhost:80", "http://", "http://[", "/path"} {
		if err := front.Forward(bad); err == nil {
			t.Errorf("Forward %q: got no error", bad)
		}
	}
	if err := front.Forward(behind.URL); err != nil {
		t.Fatal(err)
	}
	// A signature covers the path as it was sent.
	want := path + " for " + front.Name() + " from 127.0.0.1"
	for _, host := range []string{front.URL(), strings.Replace(front.URL(), "localhost", "127.0.0.1", 1)} {
		status, body, err := get(t, host+path, authority)
		if err != nil {
			t.Fatal(err)
		}
		if status != http.StatusOK || strings.Replace(body, "127.0.0.1:", "localhost:", 1) != want {
			t.Errorf("got %d %q, want 200 %q", status, body, want)
		}
	}
}

func TestFrontIsKnownByItsAuthorityOnly(t *testing.T) {
	first, firstCA := newFront(t)
	second, secondCA := newFront(t)
	var unknown x509.UnknownAuthorityError
	if _, _, err := get(t, first.URL(), secondCA); !errors.As(err, &unknown) {
		t.Errorf("the other's authority: got error %v, want an unknown authority", err)
	}
	if _, _, err := get(t, first.URL(), firstCA); err != nil {
		t.Errorf("its own authority: %v", err)
	}
	shared, err := NewFront(secondCA, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Stop()
	for _, front := range []*Front{second, shared} {
		if _, _, err := get(t, front.URL(), secondCA); err != nil {
			t.Errorf("a shared authority: %v", err)
		}
	}
}

func TestFrontStops(t *testing.T) {
	front, authority := newFront(t)
	if _, err := NewFront(authority, front.Port()); err == nil {
		t.Error("a port that is taken: got no error")
	}
	front.Stop()
	front.Stop() // does nothing
	if _, _, err := get(t, front.URL(), authority); err == nil {
		t.Error("after Stop: got an answer")
	}
	again, err := NewFront(authority, front.Port())
	if err != nil {
		t.Fatalf("after Stop: %v", err)
	}
	again.Stop()
}
