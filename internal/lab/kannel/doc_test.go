// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
)

// documented is the configuration of docs/kannel.md.
func documented(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/kannel.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(page), "```conf\n")
	block, _, closed := strings.Cut(block, "\n```\n")
	if !found || !closed || strings.Contains(block, "```") {
		t.Fatal("docs/kannel.md has no configuration")
	}
	return block + "\n"
}

// operator is a Kannel that runs on the documented configuration, with nothing
// changed but what an operator changes, and ports and files.
func operator(t *testing.T, smppPort int, more ...[2]string) *Server {
	t.Helper()
	env := install(t)
	free, err := freeport.Take(3)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{env: env, dir: t.TempDir(), statusPassword: "pw-status", received: newCollector()}
	s.options = Options{Username: "threepid", Password: "pw-sendsms"}
	s.ports = ports{admin: free[0], box: free[1], sendsms: free[2]}
	conf := documented(t)
	changes := append([][2]string{
		{"smpp.carrier.example", "127.0.0.1"},
		{"port = 2775", fmt.Sprint("port = ", smppPort)},
		{"port = 13000", fmt.Sprint("port = ", s.ports.admin)},
		{"port = 13001", fmt.Sprint("port = ", s.ports.box)},
		{"port = 13013", fmt.Sprint("port = ", s.ports.sendsms)},
		{"/var/log/kannel/", s.dir + "/"},
		{"\"REPLACE-", "\"pw-"},
		{"log-level = 2", "log-level = 0"},
	}, more...)
	for _, change := range changes {
		if !strings.Contains(conf, change[0]) {
			t.Fatalf("docs/kannel.md does not say %q any more", change[0])
		}
		conf = strings.ReplaceAll(conf, change[0], change[1])
	}
	if err := os.WriteFile(s.conf(), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, step := range []func() error{
		func() error { return s.spawn(&s.out, &s.out, bearerbox, "-v", "2", s.conf()) },
		func() error { return s.await(ctx, s.listening) },
		func() error { return s.spawn(&s.out, &s.out, smsbox, "-v", "2", s.conf()) },
		func() error { return s.await(ctx, s.boxed) },
	} {
		if err := step(); err != nil {
			t.Fatal(err, s.Logs())
		}
	}
	return s
}

// boxed reports whether smsbox answers, and bearerbox knows it.
func (s *Server) boxed(ctx context.Context) error {
	now, err := s.status(ctx)
	if err == nil && (len(now.Boxes) != 1 || now.Boxes[0].ID != "smsbox") {
		err = fmt.Errorf("got %+v", now.Boxes)
	}
	if err != nil {
		return err
	}
	_, _, err = get(ctx, s.SendSMSURL())
	return err
}

// logged waits until one of the documented logs has something.
func (s *Server) logged(t *testing.T, file, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := s.await(ctx, func(context.Context) error {
		content, err := os.ReadFile(filepath.Join(s.dir, file))
		if err == nil && !strings.Contains(string(content), want) {
			err = fmt.Errorf("no %q in\n%s", want, content)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A line that is down is tried again, and nobody is told that a message is on
// its way.
func TestTheDocumentedConfigurationWithoutACarrier(t *testing.T) {
	closed, err := freeport.Take(1)
	if err != nil {
		t.Fatal(err)
	}
	s := operator(t, closed[0])
	s.logged(t, "bearerbox.log", "SMPP[carrier]: Couldn't connect to server.")
	status, answer := sendByGET(t, s, query(s, Message{From: "Example", To: "4915550100", Text: "123456"}))
	if status != http.StatusServiceUnavailable || answer != "Temporal failure, try again later." {
		t.Errorf("got %d %q", status, answer)
	}
	unknown(t, s)
}

// unknown checks that Kannel has nothing against a line: one that it does not
// know at all, it does not even start with.
func unknown(t *testing.T, s *Server) {
	t.Helper()
	for _, file := range []string{"bearerbox.log", "smsbox.log"} {
		content, err := os.ReadFile(filepath.Join(s.dir, file))
		if err != nil || len(content) == 0 {
			t.Errorf("got %q, %v, want a log", content, err)
		}
		all := s.Logs() + string(content)
		for _, complaint := range []string{"syntax error", "unknown", "Unknown", "deprecated", "doesn't specify", "PANIC"} {
			if strings.Contains(all, complaint) {
				t.Errorf("%s: got %q in\n%s", file, complaint, all)
			}
		}
	}
}

// With a carrier at the other end the line comes up with what the configuration
// says, messages go out as they should, and receipts come back.
func TestTheDocumentedConfigurationWithACarrier(t *testing.T) {
	c := newCarrier(t)
	s := operator(t, c.port())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.await(ctx, s.ready); err != nil {
		t.Fatal(err)
	}
	if got, want := <-c.binds, [3]string{"pw-system-id", "pw-smpp", ""}; got != want {
		t.Errorf("got log-in %q, want %q", got, want)
	}
	address, arrived := receipts(t)
	for _, test := range []struct {
		m    Message
		want submitted
	}{
		{Message{From: "Example", To: "4915550100", Text: "@ 1"}, submitted{sourceTON: 5, text: []byte("\x00 1")}},
		{Message{From: "4930555", To: "+4915550100", Text: "Код", Unicode: true}, submitted{sourceTON: 1, coding: 8, text: []byte{4, 0x1a, 4, 0x3e, 4, 0x34}}},
	} {
		q := query(s, test.m)
		q.Set("dlr-mask", "31")
		q.Set("dlr-url", address)
		mustSend(t, s, q)
		test.want.source, test.want.dest, test.want.destTON = test.m.From, "4915550100", 1
		got := next(t, c.submitted)
		minutes, err := time.Parse("060102150405000+", got.validity)
		if left := time.Until(minutes); err != nil || left < 8*time.Minute || left > 11*time.Minute {
			t.Errorf("got validity %q (%v), want 10 minutes", got.validity, err)
		}
		got.validity = ""
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("got %+v, want %+v", got, test.want)
		}
		types := []string{next(t, arrived).Get("type"), next(t, arrived).Get("type")}
		if slices.Sort(types); !slices.Equal(types, []string{"1", "8"}) {
			t.Errorf("got receipts %q", types)
		}
	}
	unknown(t, s)
}

// What the page says to write where messages come in crowds.
func TestTheDocumentedConfigurationInACrowd(t *testing.T) {
	const crowd = 60
	c := newCarrier(t)
	s := operator(t, c.port(), [2]string{"sms-outgoing-queue-limit = 0", "sms-outgoing-queue-limit = 100"})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.await(ctx, s.ready); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range crowd {
		wg.Go(func() {
			q := query(s, Message{From: "Example", To: fmt.Sprint(4915550100 + i), Text: "123456"})
			status, answer, err := get(ctx, s.SendSMSURL()+"?"+q.Encode())
			if err != nil || status != http.StatusAccepted {
				t.Errorf("got %d %q, %v", status, answer, err)
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for range crowd {
		seen[next(t, c.submitted).dest] = true
	}
	if len(seen) != crowd {
		t.Errorf("got messages to %d numbers, want %d", len(seen), crowd)
	}
}

func next[T submitted | url.Values](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing has come")
		panic("unreachable")
	}
}
