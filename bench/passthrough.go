// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

const (
	passWorkers = 16
	passTime    = time.Second
)

// upstream is the homeserver of the measurement: it answers at once.
func upstream() (addr string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen: %w", err)
	}
	body := strings.Repeat("x", 2000)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the proxy may have gone
		wants := r.Header.Get(wantsHeader)
		switch {
		case strings.HasSuffix(r.URL.Path, "/register"), wants == "uia":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"session":"kSoQSnQIkMbXfuRMkvBLquKU","flows":[{"stages":["m.login.email.identity"]}],"params":{}}`)
			return
		case wants != "":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid macaroon passed."}`)
			return
		}
		_, _ = io.WriteString(w, body)
	})}
	go func() { _ = server.Serve(l) }() // until Close
	return l.Addr().String(), func() { _ = server.Close() }, nil
}

// startCaddy runs a Caddy with or without our handler, and with more options.
func startCaddy(ctx context.Context, bin, dir, name, upstream string, ours bool, options ...string) (*stack.Caddy, string, error) {
	ports, err := freeport.Take(1)
	if err != nil {
		return nil, "", err
	}
	sub := filepath.Join(dir, name)
	if err := os.MkdirAll(sub, 0o700); err != nil {
		return nil, "", err
	}
	global, handler := "", ""
	if ours {
		// The generator asks for more than anybody would wait for.
		options = append(options, fmt.Sprintf("public_url http://127.0.0.1:%d", ports[0]), "max_queued 1000000")
		global, handler = "\tthreepid {\n\t\t"+strings.Join(options, "\n\t\t")+"\n\t}\n", "\tthreepid\n"
	}
	// The generator's clients are whom it says.
	global += "\tservers {\n\t\ttrusted_proxies static private_ranges\n\t}\n"
	caddyfile := fmt.Sprintf("{\n\tadmin off\n\tskip_install_trust\n\tlog {\n\t\tlevel ERROR\n\t}\n%s}\nhttp://127.0.0.1:%d {\n%s\treverse_proxy %s\n}\n",
		global, ports[0], handler, upstream)
	c, err := stack.StartCaddy(ctx, bin, sub, caddyfile, nil, ports[0])
	return c, fmt.Sprintf("http://127.0.0.1:%d", ports[0]), err
}

// passRounds is how often both servers are started anew: a process is faster or
// slower than the next one of the same program by more than is to be measured.
const passRounds = 5

// passThrough compares a path that is not ours with and without our handler.
// Besides requests per second, to which everything on the machine contributes,
// it compares the processor time that each Caddy spends per request.
func passThrough(ctx context.Context, bin, dir string, pairs int, r *report) error {
	addr, stop, err := upstream()
	if err != nil {
		return err
	}
	defer stop()
	const send, devices = "rooms/x/send/m.room.message", "delete_devices"
	message := `{"msgtype":"m.text","body":"` + strings.Repeat("x", 270) + `"}`
	kinds := []*passed{
		{name: "GET", method: http.MethodGet, tail: send},
		{name: "PUT of 300 bytes", method: http.MethodPut, tail: send, body: message},
		{name: "POST of 300 bytes elsewhere", method: http.MethodPost, tail: "keys/query", body: message},
		{name: "PUT that is answered 401", method: http.MethodPut, tail: send, body: message, wants: "token"},
		{name: "POST that is answered with a challenge", method: http.MethodPost, tail: devices, body: `{"devices":["ABC"]}`, wants: "uia"},
	}
	var idle [2][]float64
	for round := range passRounds {
		if err := passRound(ctx, bin, dir, addr, round, pairs, kinds, &idle); err != nil {
			return err
		}
	}
	r.note("idle memory, plain Caddy", fmt.Sprintf("%.1f MiB", median(idle[0])))
	r.atMost("idle memory above plain Caddy", median(idle[1])-median(idle[0]), 25, "%.1f MiB")
	for _, kind := range kinds {
		kind.report(r)
	}
	return nil
}

// passRound starts both, and measures pairs of each kind.
func passRound(ctx context.Context, bin, dir, addr string, round, pairs int, kinds []*passed, idle *[2][]float64) error {
	var sides [2]*stack.Caddy
	var urls [2]string
	for which, name := range []string{"plain", "ours"} {
		c, url, err := startCaddy(ctx, bin, dir, fmt.Sprint(name, round), addr, which == 1)
		if err != nil {
			return err
		}
		defer c.Stop()
		sides[which], urls[which] = c, url
	}
	time.Sleep(2 * time.Second) // until start-up work is over
	for which, c := range sides {
		memory, err := stack.ResidentMiB(c.PID())
		if err != nil {
			return err
		}
		idle[which] = append(idle[which], memory)
	}
	for i := range pairs + 1 { // the first pair of each kind warms up
		for _, kind := range kinds {
			var got [2]sample
			for _, which := range order(i) {
				var err error
				if got[which], err = kind.measure(ctx, sides[which], urls[which]); err != nil {
					return err
				}
			}
			if i > 0 {
				kind.add(got[0], got[1])
			}
		}
	}
	return nil
}

// order lets each of the two go first in every other pair.
func order(i int) [2]int { return [2]int{i % 2, 1 - i%2} }

type sample struct {
	load
	ticksPerRequest float64
}

// passed is a kind of request that is not ours, with the 401 that it is answered
// with, if any, and what was measured.
type passed struct {
	name, method, tail, body, wants string

	rate, cpu, p50plain, p50ours, plain, ours []float64
}

func (p *passed) measure(ctx context.Context, c *stack.Caddy, url string) (sample, error) {
	before, err := cpuTicks(c.PID())
	if err != nil {
		return sample{}, err
	}
	got, err := generate(ctx, newClient(passWorkers), passWorkers, passTime, 0, func(n int64) (*http.Request, error) {
		req, err := http.NewRequest(p.method, fmt.Sprintf("%s/_matrix/client/r0/%s/%d", url, p.tail, n), strings.NewReader(p.body))
		if err == nil && p.wants != "" {
			req.Header.Set(wantsHeader, p.wants)
		}
		return req, err
	})
	if err != nil {
		return sample{}, err
	}
	after, err := cpuTicks(c.PID())
	return sample{got, (after - before) / float64(got.requests)}, err
}

func (p *passed) add(plain, ours sample) {
	p.rate = append(p.rate, ours.perSecond/plain.perSecond)
	p.cpu = append(p.cpu, ours.ticksPerRequest/plain.ticksPerRequest)
	p.plain = append(p.plain, plain.perSecond)
	p.ours = append(p.ours, ours.perSecond)
	p.p50plain = append(p.p50plain, plain.p50.Seconds()*1000)
	p.p50ours = append(p.p50ours, ours.p50.Seconds()*1000)
}

func (p *passed) report(r *report) {
	name := p.name
	r.note("pass-through "+name+", plain reverse_proxy", fmt.Sprintf("%.0f requests/s, p50 %.2f ms", median(p.plain), median(p.p50plain)))
	r.note("pass-through "+name+", with threepid", fmt.Sprintf("%.0f requests/s, p50 %.2f ms", median(p.ours), median(p.p50ours)))
	if p.wants == "uia" { // not passed through: its name is sealed
		r.note("pass-through "+name+", ratio of requests/s, median of pairs", fmt.Sprintf("%.3f", median(p.rate)))
	} else {
		r.atLeast("pass-through "+name+", ratio of requests/s, median of pairs", median(p.rate), 0.97, "%.3f")
	}
	r.note("pass-through "+name+", ratio of processor time per request", fmt.Sprintf("%.3f", median(p.cpu)))
}
