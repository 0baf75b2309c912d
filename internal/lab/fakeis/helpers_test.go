// SPDX-License-Identifier: Apache-2.0

package fakeis

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// start starts a server that knows one user with one proven address.
func start(t *testing.T) *Server {
	t.Helper()
	s, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.AddToken("alice-token", "@alice:example.org")
	s.AddSession(Session{SID: "1", ClientSecret: "secret", Medium: "email", Address: "alice@example.org"})
	return s
}

// client trusts the server and follows redirects, as careless clients do.
func client(t *testing.T, s *Server) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Pool(), MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// reply is an answer, with its body decoded if it is a JSON object.
type reply struct {
	status int
	header http.Header
	text   string
	object map[string]any
}

func do(t *testing.T, s *Server, method, path, token, body string) (reply, error) {
	t.Helper()
	req, err := http.NewRequest(method, "https://"+s.Name()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client(t, s).Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	r := reply{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &r.object)
	return r, err
}

// mustDo demands an answer.
func mustDo(t *testing.T, s *Server, method, path, token, body string) reply {
	t.Helper()
	r, err := do(t, s, method, path, token, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

const (
	goodBind   = `{"sid":"1","client_secret":"secret","mxid":"@alice:example.org"}`
	goodUnbind = `{"sid":"1","client_secret":"secret","mxid":"@alice:example.org","threepid":{"medium":"email","address":"alice@example.org"}}`
)
