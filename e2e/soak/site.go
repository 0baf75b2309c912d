// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// site is all that runs.
type site struct {
	public, admin string
	host          string // of public, for those who speak to the socket
	store         string // the folder of the store
	caddy         *stack.Caddy
	relay         *smtptest.Server
	mail          *postbox
	hs            *fakehs.Server
	http          *http.Client
	stops         []func()
}

// start starts the mail server, Caddy, and the homeserver that trusts it.
func start(ctx context.Context, bin, dir string, length time.Duration) (s *site, err error) {
	s = &site{mail: newPostbox()}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	ports, err := freeport.Take(4)
	if err != nil {
		return s, err
	}
	s.host = fmt.Sprintf("127.0.0.1:%d", ports[0])
	s.public, s.admin = "http://"+s.host, fmt.Sprintf("http://127.0.0.1:%d", ports[3])
	s.http = &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{MaxIdleConnsPerHost: goodUsers + hostiles, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// A real relay takes its time; this is what fills the queue.
	s.relay, err = smtptest.Start(smtptest.Options{Received: s.mail.put, Fail: func(stage, _ string) error {
		if stage == "DATA" {
			time.Sleep(40 * time.Millisecond)
		}
		return nil
	}})
	if err != nil {
		return s, err
	}
	s.stops = append(s.stops, func() { _ = s.relay.Close() })
	config := caddyfile(ports, s.relay.Addr(), length)
	if s.caddy, err = stack.StartCaddy(ctx, bin, dir, config, nil, ports[0], ports[1], ports[3]); err != nil {
		return s, err
	}
	s.store = filepath.Join(s.caddy.DataDir(), "threepid", "store")
	s.stops = append(s.stops, s.caddy.Stop)
	return s, s.startHomeserver(ctx, ports[1], ports[2])
}

// caddyfile has lifetimes that end within a run that is not short, so that what has
// to go goes, and not before a user of a slow machine has read their mail.
func caddyfile(ports []int, relay string, length time.Duration) string {
	token := max(length/6, patience).Round(time.Second)
	return fmt.Sprintf(`{
	admin 127.0.0.1:%d
	skip_install_trust
	auto_https disable_redirects
	log {
		level ERROR
	}
	servers {
		timeouts {
			read_body 5s
			read_header 5s
		}
	}
	threepid {
		public_url http://127.0.0.1:%d
		homeserver synapse {
			identity_name localhost:%d
			checks callback
		}
		# Everybody comes from one machine here, and nobody may be kept from working:
		# what is left is the limit of each mailbox.
		limit client 1000000 1m
		limit user 1000000 1m
		limit domain 1000000 1m
		limit messages 1000000 1m
		token_lifetime %s
		session_lifetime %s
		max_queued %d
		mailer smtp {
			server %s
			tls none
			max_connections 2
			from noreply@example.test
		}
	}
}
http://127.0.0.1:%d {
	threepid
	reverse_proxy 127.0.0.1:%d
}
https://localhost:%d {
	bind 127.0.0.1
	tls internal
	threepid_identity
}
`, ports[3], ports[0], ports[1], token, 2*token, maxQueued, relay, ports[0], ports[2], ports[1])
}

// startHomeserver waits for Caddy's authority, which the homeserver trusts.
func (s *site) startHomeserver(ctx context.Context, identity, port int) error {
	roots, err := s.roots(ctx)
	if err != nil {
		return err
	}
	s.hs = fakehs.New(fakehs.Options{
		ServerName: "example.test", TrustedIDServers: []string{fmt.Sprintf("localhost:%d", identity)}, ResetMode: fakehs.ResetRemote,
		RegistrationEnabled: true, Require3PIDEmail: true, DisableMSISDNRegistration: true,
		HTTPClient: &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: 32, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		}},
	})
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: s.hs, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // until Close
	s.stops = append(s.stops, func() { _ = server.Close() })
	return await(ctx, "a certificate of the homeserver-facing side", func() error {
		d := tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
		conn, err := d.DialContext(ctx, "tcp", fmt.Sprintf("localhost:%d", identity))
		if err == nil {
			err = conn.Close()
		}
		return err
	})
}

// await waits until something works.
func await(ctx context.Context, what string, works func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := works()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *site) roots(ctx context.Context) (roots *x509.CertPool, err error) {
	err = await(ctx, "Caddy's certificate authority", func() error {
		roots = x509.NewCertPool()
		pem, err := os.ReadFile(s.caddy.CAFile())
		if err == nil && !roots.AppendCertsFromPEM(pem) {
			err = errors.New("it cannot be read")
		}
		return err
	})
	return roots, err
}

// stop stops everything, the last one started first.
func (s *site) stop() {
	for _, stop := range slices.Backward(s.stops) {
		stop()
	}
	s.stops = nil
}

// goroutines asks Caddy how many it has.
func (s *site) goroutines(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.admin+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			return strconv.Atoi(rest)
		}
	}
	return 0, errors.New("the metrics tell no number of goroutines")
}

// settle waits until the goroutines of the load have ended, for a while, and
// returns how many there are then.
func (s *site) settle(ctx context.Context, idle int) (n int, err error) {
	s.http.CloseIdleConnections()
	for range 240 {
		if n, err = s.goroutines(ctx); err != nil || n <= idle+idleSlack {
			return n, err
		}
		select {
		case <-ctx.Done():
			return n, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	return n, nil
}

// postbox hands each mail to the one that waits for it, and drops all others.
type postbox struct {
	mu      sync.Mutex
	waiting map[string]chan smtptest.Message
	arrived int
}

func newPostbox() *postbox { return &postbox{waiting: map[string]chan smtptest.Message{}} }

func (p *postbox) put(m smtptest.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrived++
	if ch := p.waiting[strings.ToLower(m.To)]; ch != nil {
		select {
		case ch <- m:
		default: // it has one already
		}
	}
}

// expect must be called before the mail can come; done ends it.
func (p *postbox) expect(address string) (mail <-chan smtptest.Message, done func()) {
	ch := make(chan smtptest.Message, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[address] = ch
	return ch, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiting, address)
	}
}

func (p *postbox) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.arrived
}
