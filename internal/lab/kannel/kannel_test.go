// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const number = "+4915550100"

func TestMessagesArriveAsTheyWere(t *testing.T) {
	s := start(t, Options{})
	senders := map[string]func(*testing.T, *Server, url.Values) (int, string){"GET": sendByGET, "POST": sendByPOST}
	n := 0
	for name, m := range map[string]Message{
		"GSM letters":     {From: "Example", Text: "123456 is your code for example.org", Parts: 1},
		"all kinds of":    {From: "4930555", Text: "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà ^{}\\[~]|€", Parts: 1},
		"several lines":   {From: "Example", Text: "Your code: 123456\n\n\n@example.org #123456", Parts: 1},
		"ends with a new": {From: "Example", Text: "123456\n\n", Parts: 1},
		"looks like more": {From: "Example", Text: "123456\nExample " + number + " text 654321", Parts: 1},
		"two parts":       {From: "Example", Text: strings.Repeat("0123456789", 15) + "\n+ & %41 äöü", Parts: 2},
		"Unicode":         {From: "Example", Text: "Код 123456 – 验证码 😀\n+ & %41", Unicode: true, Parts: 1},
		"long Unicode":    {From: "Example", Text: strings.Repeat("رمز التحقق 😀\n", 12) + "x", Unicode: true, Parts: 3},
		"no letter":       {From: "Example", Parts: 1},
		"nobody's name":   {From: "My Name", Text: "123456", Parts: 1},
	} {
		for method, send := range senders {
			m.To = number
			if status, answer := send(t, s, query(s, m)); status != http.StatusAccepted || answer != accepted {
				t.Fatalf("%s by %s: got %d %q", name, method, status, answer)
			}
			n++
			if got := wait(t, s, n); got != m {
				t.Errorf("%s by %s: got %+v, want %+v", name, method, got, m)
			}
		}
	}
	if got := s.Messages(); len(got) != n {
		t.Errorf("got %d messages, want %d", len(got), n)
	}
}

// Kannel believes what it is told about the letters.
func TestWhatIsNotInGSMIsLost(t *testing.T) {
	s := start(t, Options{})
	mustSend(t, s, query(s, Message{From: "Example", To: number, Text: "Код 1"}))
	if got, want := wait(t, s, 1).Text, "??? 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, Options{Username: "somebody", Password: "correct horse", Refuse: []string{"+999", "+998"}})
	good := query(s, Message{From: "Example", To: number, Text: "123456"})
	for name, test := range map[string]struct {
		change url.Values
		status int
		answer string
	}{
		"a wrong password": {url.Values{"password": {"correct"}}, http.StatusForbidden, "Authorization failed for sendsms"},
		"a wrong name":     {url.Values{"username": {"user"}}, http.StatusForbidden, "Authorization failed for sendsms"},
		"a refused number": {url.Values{"to": {"+9981"}}, http.StatusForbidden, "Not routable. Do not try again."},
		"not a number":     {url.Values{"to": {"somebody"}}, http.StatusBadRequest, "Number(s) has/have been denied by white- and/or black-lists."},
	} {
		q := url.Values{}
		for key := range good {
			q.Set(key, good.Get(key))
		}
		for key := range test.change {
			q.Set(key, test.change.Get(key))
		}
		status, answer := sendByGET(t, s, q)
		if status != test.status || answer != test.answer {
			t.Errorf("%s: got %d %q, want %d %q", name, status, answer, test.status, test.answer)
		}
	}
	mustSend(t, s, good)
	wait(t, s, 1)
	if got := s.Messages(); len(got) != 1 {
		t.Errorf("got %v, want the one that was not refused", got)
	}
}

// receipts listens for what Kannel has to tell.
func receipts(t *testing.T) (address string, arrived <-chan url.Values) {
	t.Helper()
	all := make(chan url.Values, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		all <- r.URL.Query()
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/?type=%d&answer=%A&from=%P&to=%p&tag=a%2Bb", all
}

func TestReceipts(t *testing.T) {
	s := start(t, Options{Refuse: []string{"+999"}})
	for to, want := range map[string][]string{number: {"1 ", "8 ACK/"}, "+9991": {"16 NACK/no SMSC"}} {
		address, arrived := receipts(t)
		q := query(s, Message{From: "Example", To: to, Text: "123456"})
		q.Set("dlr-mask", "31")
		q.Set("dlr-url", address)
		if status, answer := sendByGET(t, s, q); (status == http.StatusAccepted) != (to == number) {
			t.Fatalf("got %d %q", status, answer)
		}
		var got []string
		for range want {
			select {
			case r := <-arrived:
				if r.Get("to") != to || r.Get("from") != "Example" || r.Get("tag") != "a+b" {
					t.Errorf("got %v", r)
				}
				got = append(got, r.Get("type")+" "+r.Get("answer"))
			case <-time.After(patience):
				t.Fatalf("got receipts %q, want %q", got, want)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("got receipts %q, want %q", got, want)
		}
	}
}

func TestTwoServersAtOnce(t *testing.T) {
	servers := []*Server{start(t, Options{Username: "a"}), start(t, Options{Username: "b"})}
	for i, s := range servers {
		mustSend(t, s, query(s, Message{From: "Example", To: number, Text: fmt.Sprint("for ", i)}))
	}
	for i, s := range servers {
		if got, want := wait(t, s, 1).Text, fmt.Sprint("for ", i); got != want || len(s.Messages()) != 1 {
			t.Errorf("got %q, want %q alone", got, want)
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	s := start(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if m, err := s.Wait(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v, %v", m, err)
	}
}

// What a program complains about is told at once.
func TestStartTellsWhatKannelHasAgainstIt(t *testing.T) {
	first, second := start(t, Options{}), start(t, Options{})
	p := second.ports
	if err := second.Stop(); err != nil {
		t.Fatal(err)
	}
	p.sendsms = first.ports.sendsms
	s, err := startOn(t.Context(), install(t), Options{}, p)
	if err == nil {
		t.Fatal(errors.Join(errors.New("it started"), s.Stop()))
	}
	if !strings.Contains(err.Error(), "a program of Kannel ended") || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("got %v, want Kannel's own words", err)
	}
}
