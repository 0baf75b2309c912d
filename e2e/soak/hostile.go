// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

// hostile does what nobody should, one thing after the other.
type hostile struct {
	site  *site
	tally *tally
	rnd   *rand.Rand
	n     uint64
	seed  uint64
}

func newHostile(s *site, t *tally, seed uint64) *hostile {
	return &hostile{site: s, tally: t, rnd: rand.New(rand.NewPCG(seed, 1)), seed: seed} //nolint:gosec // the same attacks in every run
}

const ownPath = "/_matrix/client/r0/"

// tricks are the kinds of attack, by how often they come.
var tricks = []struct {
	weight int
	run    func(*hostile, context.Context)
}{
	{20, (*hostile).flood},
	{10, (*hostile).repeat},
	{10, (*hostile).guess},
	{10, (*hostile).claim},
	{10, (*hostile).garbage},
	{5, (*hostile).spellings},
	{3, (*hostile).oversized},
	{3, (*hostile).bomb},
	{3, (*hostile).hangUp},
	{1, (*hostile).slow},
	{5, (*hostile).refuse},
	{10, (*hostile).passBy},
}

func (h *hostile) run(ctx context.Context) {
	total := 0
	for _, t := range tricks {
		total += t.weight
	}
	for ctx.Err() == nil {
		h.n++
		pick := h.rnd.IntN(total)
		for _, t := range tricks {
			if pick -= t.weight; pick < 0 {
				t.run(h, ctx)
				break
			}
		}
		// Without a pause the other core's worth of load is the generator's.
		if pause(ctx, time.Duration(h.rnd.IntN(15))*time.Millisecond) != nil {
			return
		}
	}
}

func (h *hostile) post(ctx context.Context, path, body string, header ...string) {
	// A connection that breaks is part of it.
	_, _ = h.site.send(ctx, h.tally, http.MethodPost, path, body, header...)
}

// flood has mail sent to ever new strangers.
func (h *hostile) flood(ctx context.Context) {
	h.post(ctx, ownPath+"register/email/requestToken",
		fmt.Sprintf(`{"client_secret":"s%d","email":"stranger-%d-%d@flood.test","send_attempt":1}`, h.n, h.seed, h.n))
}

// repeat has mail sent to the same stranger, over and over.
func (h *hostile) repeat(ctx context.Context) {
	h.post(ctx, ownPath+"register/email/requestToken",
		fmt.Sprintf(`{"client_secret":"s%d","email":"victim-%d@flood.test","send_attempt":%d}`, h.n, h.rnd.IntN(20), h.n))
}

// guess tries tokens.
func (h *hostile) guess(ctx context.Context) {
	h.post(ctx, "/_threepid/validate/email/submitToken", fmt.Sprintf(`{"sid":"%s","client_secret":"s","token":"%06d"}`, h.sid(), h.rnd.IntN(1e6)))
}

// sid is one that might be.
func (h *hostile) sid() string {
	if h.rnd.IntN(2) == 0 {
		return strings.Repeat("A", h.rnd.IntN(300))
	}
	return fmt.Sprintf("%02x%032xabcdefghijkl", h.rnd.IntN(64), h.rnd.Uint64())
}

// claim uses sessions that are not there.
func (h *hostile) claim(ctx context.Context) {
	creds := fmt.Sprintf(`{"sid":%q,"client_secret":"s"}`, h.sid())
	bodies := []string{
		`{"new_password":"x","auth":{"type":"m.login.email.identity","threepid_creds":` + creds + `}}`,
		`{"username":"x","password":"x","auth":{"type":"m.login.email.identity","threepidCreds":[` + creds + `]}}`,
		`{"three_pid_creds":` + creds + `,"bind":true}`, creds,
	}
	paths := []string{"account/password", "register", "account/3pid", "account/3pid/add"}
	i := h.rnd.IntN(len(paths))
	h.post(ctx, ownPath+paths[i], bodies[i], "Authorization", "Bearer nobody's")
}

// garbage is no JSON, or too much of it.
func (h *hostile) garbage(ctx context.Context) {
	bodies := []string{
		"", "{", "[]", "null", `{"a":1,"a":2}`, strings.Repeat("[", 10_000), "\xff\xfe", `{"client_secret":1}`, strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70),
		`{"client_secret":"s","email":"a@` + strings.Repeat("b.", 5000) + `c","send_attempt":1}`,
	}
	paths := []string{"register", "register/email/requestToken", "account/password", "account/3pid/add", "account/3pid/bind", "account/deactivate", "account/3pid/delete"}
	h.post(ctx, ownPath+paths[h.rnd.IntN(len(paths))], bodies[h.rnd.IntN(len(bodies))])
}

// spellings are paths that may be read as ours.
func (h *hostile) spellings(ctx context.Context) {
	paths := []string{
		"/_matrix/client/r0/%72egister", "//_matrix/client/r0/register", "/_matrix/client/r0/account%2Fpassword", "/_matrix/client/r0/register/..;/..",
		"/_MATRIX/client/r0/register", "/_matrix/client/r0/" + strings.Repeat("%25", 5000), "/_matrix/client/r0/" + strings.Repeat("../", 3000) + "register",
	}
	h.post(ctx, paths[h.rnd.IntN(len(paths))], "{}")
}

func (h *hostile) oversized(ctx context.Context) {
	h.post(ctx, ownPath+"register", `{"a":"`+strings.Repeat("x", 200_000)+`"}`)
}

// zeros is ten megabytes of JSON in ten kilobytes.
var zeros = func() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(`{"a":"` + strings.Repeat("0", 10<<20) + `"}`)) // a buffer takes it
	_ = w.Close()
	return b.String()
}()

func (h *hostile) bomb(ctx context.Context) {
	h.post(ctx, ownPath+"register/email/requestToken", zeros, "Content-Encoding", "gzip")
}

// hangUp leaves in the middle of a request, or before its answer.
func (h *hostile) hangUp(ctx context.Context) {
	text := "POST " + ownPath + "register/email/requestToken HTTP/1.1\r\nHost: x\r\nContent-Length: 70\r\n\r\n" +
		fmt.Sprintf(`{"client_secret":"s","email":"gone-%d-%d@flood.test","send_attempt":1}`, h.seed, h.n)
	h.speak(ctx, text[:h.rnd.IntN(len(text)+1)], 0)
}

// slow says a little, and then waits for the server to lose its patience.
func (h *hostile) slow(ctx context.Context) {
	h.speak(ctx, "POST "+ownPath+"register HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", time.Duration(h.rnd.IntN(8000))*time.Millisecond)
}

// speak writes to a connection of its own, waits and closes it.
func (h *hostile) speak(ctx context.Context, text string, wait time.Duration) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", h.site.host)
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(text)) // the server may be quicker
	_ = pause(ctx, wait)
}

func (h *hostile) refuse(ctx context.Context) {
	h.post(ctx, "/_threepid/refuse?sid="+h.sid()+"&refusal=x", "List-Unsubscribe=One-Click", "Content-Type", "application/x-www-form-urlencoded")
}

// passBy is what a homeserver is for.
func (h *hostile) passBy(ctx context.Context) {
	_, _ = h.site.send(ctx, h.tally, http.MethodGet, "/_matrix/client/versions", "")
}
