// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/twosample"
)

// ask is one request about a session, by its sid and client_secret.
type ask func(sid, secret string) (method, path, body string)

// asks are what can be asked without a token, but for requestToken itself.
var asks = map[string]ask{
	"help page": func(sid, secret string) (string, string, string) {
		return http.MethodGet, submitPath + "?" + url.Values{"help": {"1"}, "sid": {sid}, "client_secret": {secret}}.Encode(), ""
	},
	"page of a wrong link": func(sid, secret string) (string, string, string) {
		return http.MethodGet, submitPath + "?" + url.Values{"token": {"wrong"}, "sid": {sid}, "client_secret": {secret}}.Encode(), ""
	},
	"wrong token": func(sid, secret string) (string, string, string) {
		return http.MethodPost, submitPath, fmt.Sprintf(`{"sid":%q,"client_secret":%q,"token":"wrong"}`, sid, secret)
	},
	"completion": func(sid, secret string) (string, string, string) {
		return http.MethodPost, "/_matrix/client/v3/register", fmt.Sprintf(
			`{"username":"new","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":%q}}}`, sid, secret)
	},
}

const submitPath = handlers.SubmitPath + "email/submitToken"

// TestF15_PagesTakeAsLong: what is asked about a session, after its message is sent
// or would be, cannot be told apart by the time of the answer. Each session is
// asked about once.
func TestF15_PagesTakeAsLong(t *testing.T) {
	const sessions, workers = 150, 4
	r := newRig(t, -1)
	for name, what := range asks {
		for try := 1; ; try++ {
			granted, refused := r.sessions(t, sessions, nobody), r.sessions(t, sessions, owned)
			a, b, err := twosample.Interleave(sessions, workers, r.about(what, granted), r.about(what, refused))
			if err != nil {
				t.Fatal(err)
			}
			got := twosample.Compare(a, b)
			t.Logf("%s, try %d: sessions with a token and without: %s", name, try, got)
			if got.U > alpha && got.KS > alpha && math.Abs(got.Effect-0.5) < 0.1 {
				break
			}
			if try == tries {
				t.Errorf("%s: a session with a token can be told from one without by the time of the answer", name)
				break
			}
		}
	}
}

// opened is a session that its requester knows.
type opened struct{ sid, secret string }

// sessions opens n sessions for an address.
func (r *rig) sessions(t *testing.T, n int, email string) []opened {
	t.Helper()
	list := make([]opened, n)
	for i := range list {
		list[i].secret = fmt.Sprint("p", r.asked.Add(1))
		_, body, err := r.send(http.MethodPost, "/_matrix/client/v3/register/email/requestToken",
			fmt.Sprintf(`{"client_secret":%q,"email":%q,"send_attempt":1}`, list[i].secret, email))
		var answer struct {
			SID string `json:"sid"`
		}
		if err == nil {
			err = json.Unmarshal(body, &answer)
		}
		if err != nil || answer.SID == "" {
			t.Fatalf("request %d: %v, %s", i, err, body)
		}
		list[i].sid = answer.SID
	}
	return list
}

// about asks about one session after the other.
func (r *rig) about(what ask, list []opened) func() (time.Duration, error) {
	var next atomic.Int64
	return func() (time.Duration, error) {
		one := list[(int(next.Add(1))-1)%len(list)]
		method, path, body := what(one.sid, one.secret)
		took, _, err := r.send(method, path, body)
		return took, err
	}
}

// send makes a request and tells how long the whole answer took.
func (r *rig) send(method, path, body string) (time.Duration, []byte, error) {
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	start := time.Now()
	resp, err := r.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	took := time.Since(start)
	if resp.StatusCode >= http.StatusInternalServerError {
		err = errors.Join(err, fmt.Errorf("got %d %s", resp.StatusCode, answer))
	}
	return took, answer, errors.Join(err, resp.Body.Close())
}
