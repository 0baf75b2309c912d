// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smstest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// TestPumpingIsStopped is the attack that phone verification is known for:
// somebody earns by every message to a range of numbers, and has one sent
// wherever that is to be had. The budget is what they get at most.
func TestPumpingIsStopped(t *testing.T) {
	const (
		requests, numbers, clients = 10_000, 200, 50
		price                      = 0.08
	)
	run := func(name, client string, budget, most int, options ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPump(t, append([]string{
				fmt.Sprintf("budget prefix messages %d per hour", budget), fmt.Sprintf("budget total money %.2f per day", float64(budget)*price),
			}, options...)...)
			p.client = client
			accepted, limited := p.run(requests, numbers, clients)
			eventually(t, "every message that was accepted", func() bool { return len(p.gateway.All()) >= accepted })
			sent := len(p.gateway.All())
			t.Logf("of %d requests for %d numbers from %d clients %d were accepted and %d refused; %d messages went out, which cost %.2f EUR; the budget is %d messages, %.2f EUR",
				requests, numbers, clients, accepted, limited, sent, float64(sent)*price, budget, float64(budget)*price)
			if sent == 0 || sent > most || sent != accepted || accepted+limited != requests {
				t.Errorf("%d messages were sent and %d accepted, want the same, at most %d", sent, accepted, most)
			}
		})
	}
	const wide, narrow = "198.51.%d.7", "192.0.2.%d"
	// Newcomers have a half of a total.
	run("by the budget alone", wide, 40, 20, "conversion off", "per_client numbers off", "per_client countries off")
	run("by the part of one network", narrow, 100, 4, "conversion off", "per_client numbers off")
	// With a budget that is no obstacle: three samples make a flood, of a prefix and of a
	// network.
	run("because no codes come back", wide, 5000, 60, "per_client numbers off")
	run("because no codes come back to a network", narrow, 5000, 15, "per_client numbers off")
}

// pump is the attack on a program that hands its messages to a gateway.
type pump struct {
	t       *testing.T
	url     string
	gateway *smstest.Server
	http    http.Client
	client  string // with a number in it
}

// newPump starts the gateway and the program, with more lines of its sms block.
func newPump(t *testing.T, options ...string) *pump {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	gateway, err := smstest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gateway.Close() })
	homeserver := httptest.NewServer(fakehs.New(fakehs.Options{ServerName: stack.ServerName, RegistrationEnabled: true}))
	t.Cleanup(homeserver.Close)
	ports, err := freeport.Take(2)
	if err != nil {
		t.Fatal(err)
	}
	caddyfile := fmt.Sprintf(`{
	admin off
	skip_install_trust
	auto_https disable_redirects
	threepid {
		public_url http://127.0.0.1:%[1]d
		homeserver {
			identity_name localhost:%[2]d
		}
		mailer file
		limit client off
		sms {
			sender gateway http {
				url %[3]s
				bearer %[4]s
				json `+"`"+`{"id":"{id}","to":"{to}","from":"{from}","text":"{text}"}`+"`"+`
				success 201
			}
			originator default Example
			allow GB
			price default 0.08
			currency EUR
			resend_after 1ns
			%[5]s
		}
	}
	servers {
		trusted_proxies static 127.0.0.1/32
	}
}
http://127.0.0.1:%[1]d {
	threepid
	reverse_proxy %[6]s
}
https://localhost:%[2]d {
	bind 127.0.0.1
	tls internal
	threepid_identity
}
`, ports[0], ports[1], gateway.URL(), smstest.Token, strings.Join(options, "\n"), strings.TrimPrefix(homeserver.URL, "http://"))
	caddy, err := stack.StartCaddy(t.Context(), bin, t.TempDir(), caddyfile, nil, ports...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(caddy.Stop)
	return &pump{t: t, url: fmt.Sprintf("http://127.0.0.1:%d/_matrix/client/v3/register/msisdn/requestToken", ports[0]), gateway: gateway}
}

// ask requests a code from a client address, which a trusted proxy tells of.
func (p *pump) ask(client, body string) (status int, wait, answer string, err error) {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url, bytes.NewBufferString(body))
	if err != nil {
		return 0, "", "", err
	}
	req.Header.Set("X-Forwarded-For", client)
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, "", "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header.Get("Retry-After"), string(raw), err
}

// run makes each request a session of its own. Codes are never submitted.
func (p *pump) run(requests, numbers, clients int) (accepted, limited int) {
	const attackers = 16
	p.http = http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: attackers}, Timeout: patience}
	defer p.http.CloseIdleConnections()
	var mu sync.Mutex
	var wg sync.WaitGroup
	work := make(chan int)
	for range attackers {
		wg.Go(func() {
			for i := range work {
				body := fmt.Sprintf(`{"client_secret":"s%d","country":"GB","phone_number":"+447400%06d","send_attempt":1}`, i, i%numbers)
				status, wait, answer, err := p.ask(fmt.Sprintf(p.client, 1+i%clients), body)
				mu.Lock()
				switch {
				case err != nil:
					p.t.Errorf("request %d: %v", i, err)
				case status == http.StatusOK:
					accepted++
				case status == http.StatusTooManyRequests && wait != "":
					limited++
				default:
					p.t.Errorf("request %d: got %d %s", i, status, answer)
				}
				mu.Unlock()
			}
		})
	}
	for i := range requests {
		work <- i
	}
	close(work)
	wg.Wait()
	return accepted, limited
}
