// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// weather is how the way to the reader is.
type weather string

const (
	relayUp       weather = "up"       // takes messages in a moment
	relaySlow     weather = "slow"     // takes each for seconds
	relayJittery  weather = "jittery"  // takes each as long as it happens to
	relayDown     weather = "down"     // takes none, for now
	relayRefusing weather = "refusing" // says that there is no such reader
	relayBouncing weather = "bouncing" // takes messages and returns them, which is reported
	relayFull     weather = "full"     // is down, and the outbox has no room for more than two
	relayUnwanted weather = "unwanted" // takes messages that are complained of
)

var weathers = []weather{relayUp, relaySlow, relayJittery, relayDown, relayRefusing, relayBouncing, relayFull, relayUnwanted}

// relayError is what a relay says.
type relayError struct{ temporary bool }

func (relayError) Error() string     { return "the relay refuses" }
func (e relayError) Temporary() bool { return e.temporary }

// oracleWorld is all of it, in a bubble of its own time: both sides, a real outbox
// with its workers, a relay, and the reader of the mail. Reads, writes and commits
// take time, so that an answer that makes more of them comes later.
type oracleWorld struct {
	*rig
	outbox *outbox.Outbox
	purse  *purse

	mu         sync.Mutex
	weather    weather
	rand       *rand.Rand
	arrived    []verification.Message
	suppressed map[string]bool
	started    time.Time
}

// oracleOptions are what a history is run with.
type oracleOptions struct {
	weather weather
	// owned says whether an account has the address.
	owned  bool
	config func(*Config)
}

// newOracleWorld must be called in a bubble.
func newOracleWorld(t *testing.T, opts oracleOptions) *oracleWorld {
	t.Helper()
	w := &oracleWorld{
		weather: opts.weather, rand: rand.New(rand.NewPCG(1, 2)),
		suppressed: map[string]bool{}, started: time.Now(),
	}
	hour := func(n int) ratelimit.Limit { return ratelimit.Limit{Burst: n, Per: time.Hour} }
	w.rig, w.purse = phoneRig(t, options{
		config: opts.config,
		hs: func(o *fakehs.Options) {
			o.CaptchaResponse = "solved"
			o.HTTPClient = &http.Client{Transport: farTransport{o.HTTPClient.Transport}}
		},
		service: func(c *verification.Config) {
			c.Now, c.Store = time.Now, slowStore{storetest.NewMemory(time.Now)}
			c.PerAddress, c.Client, c.Domain = hour(10), hour(60), hour(60)
			c.User, c.UIA, c.Messages, c.Guesses = hour(20), hour(10), hour(40), hour(30)
			dc := outbox.Config{Store: c.Store, Keys: c.Keys, Transports: outbox.Transports{Suppressed: w.mayNot}, Sweep: 5 * time.Minute}
			if w.weather == relayFull {
				dc.MaxQueued = 2
			}
			w.outbox = outbox.New(dc)
			c.Outbox = w.outbox
		},
	})
	w.client.people.page.Now = time.Now
	w.client.equalizer = newEqualizer(leastStep)
	for _, medium := range []threepid.Medium{threepid.Email, threepid.MSISDN} {
		w.outbox.SetSender(medium, &outbox.DecoySender{Sender: w, Explanations: w.svc})
	}
	w.outbox.Start()
	t.Cleanup(func() { _ = w.outbox.Stop(context.Background()) })
	w.hs.AddUser("alice", "secret")
	if opts.owned {
		w.hs.AddUser("owner", "secret")
		w.hs.AddThreepid("owner", "email", "who@x.org")
		w.hs.AddThreepid("owner", "msisdn", "447400123456")
	}
	return w
}

// Send implements outbox.Sender: the relay.
func (w *oracleWorld) Send(ctx context.Context, m verification.Message) error {
	now, took := w.forecast()
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return ctx.Err()
	}
	switch now {
	case relayDown, relayFull:
		return relayError{temporary: true}
	case relayRefusing:
		return relayError{}
	case relayBouncing:
		time.AfterFunc(2*time.Second, func() { w.report(m, verification.Bounced) })
	case relayUnwanted:
		time.AfterFunc(3*time.Second, func() { w.report(m, verification.Complained) })
	case relayUp:
		if m.Medium == threepid.MSISDN {
			time.AfterFunc(time.Second, func() { w.report(m, verification.Arrived) })
		}
	case relaySlow, relayJittery: // and that is all
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived = append(w.arrived, m)
	return nil
}

// forecast is the weather, and how long a message takes in it.
func (w *oracleWorld) forecast() (weather, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	took := 20 * time.Millisecond
	if w.weather == relaySlow {
		took = 7 * time.Second
	}
	if w.weather == relayJittery {
		took = time.Duration(w.rand.Int64N(int64(3 * time.Second)))
	}
	return w.weather, took
}

func (w *oracleWorld) change(to weather) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.weather = to
}

// report is what a provider, a bounce or a gateway tells of a message.
func (w *oracleWorld) report(m verification.Message, state verification.DeliveryState) {
	if err := w.svc.NoteReceipt(context.Background(), m.ID, state); err != nil && !errors.Is(err, verification.ErrNoSession) {
		w.t.Errorf("report %s: %v", state, err)
	}
	if state != verification.Arrived {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.suppressed[m.Address] = true
	}
}

// mayNot is why nothing may be sent to an address.
func (w *oracleWorld) mayNot(ctx context.Context, m verification.Message) (string, error) {
	if wait, err := w.svc.Cooling(ctx, m); err != nil || wait > 0 {
		return "cooling", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.suppressed[m.Address] {
		return "listed", nil
	}
	return "", nil
}

// inbox is what the reader has got.
func (w *oracleWorld) inbox() []verification.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.arrived)
}

// farTransport makes it take longer to grant a request than to refuse it: the
// homeserver calls back only if it grants.
type farTransport struct{ http.RoundTripper }

func (f farTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(15 * time.Millisecond)
	resp, err := f.RoundTripper.RoundTrip(r)
	time.Sleep(15 * time.Millisecond)
	return resp, err
}

// slowStore takes a millisecond for each read and write, and five for a commit.
type slowStore struct{ store.Store }

func (s slowStore) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	n := 0
	err := s.Store.View(ctx, p, func(txn store.Txn) error { return fn(slowTxn{txn, &n}) })
	time.Sleep(time.Duration(n) * time.Millisecond)
	return err
}

func (s slowStore) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	n := 0
	err := s.Store.Update(ctx, p, func(txn store.Txn) error {
		n = 0
		return fn(slowTxn{txn, &n})
	})
	time.Sleep(time.Duration(5+n) * time.Millisecond)
	return err
}

type slowTxn struct {
	store.Txn
	n *int
}

func (t slowTxn) Get(key string) ([]byte, error) {
	*t.n++
	return t.Txn.Get(key)
}

func (t slowTxn) Set(key string, value []byte, expires time.Time) error {
	*t.n++
	return t.Txn.Set(key, value, expires)
}

// requester holds sids and client_secrets, and never a mail. They write down all
// that they can see: status, headers, body and time of every answer, with each sid
// and nonce replaced by the number of its first appearance.
type requester struct {
	*oracleWorld
	token string
	uia   string    // the newest registration
	asked time.Time // when the last token was
	sids  []knownSID
	names map[string]int
	notes []string
}

type knownSID struct {
	sid, secret string
	medium      threepid.Medium
}

func (q *requester) send(what, method, target, body string, header ...string) *httptest.ResponseRecorder {
	start := time.Now()
	rec := q.do(method, target, body, header...)
	took := time.Since(start)
	var headers []string
	for _, name := range slices.Sorted(maps.Keys(rec.Header())) {
		headers = append(headers, name+": "+strings.Join(rec.Header()[name], ", "))
	}
	text := fmt.Sprintf("%s\nat %s, after %s: %d\n%s\n\n%s", what, start.Sub(q.started), took, rec.Code, strings.Join(headers, "\n"), rec.Body)
	q.notes = append(q.notes, random.ReplaceAllStringFunc(text, func(found string) string {
		if errcode.MatchString(found) {
			return found
		}
		if _, known := q.names[found]; !known {
			q.names[found] = len(q.names)
		}
		return fmt.Sprint("#", q.names[found])
	}))
	return rec
}

// about is the session of a step, or one that never was.
func (q *requester) about(n int) knownSID {
	if len(q.sids) == 0 {
		return knownSID{"nothing", "one", threepid.Email}
	}
	return q.sids[n%len(q.sids)]
}
