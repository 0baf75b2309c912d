// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// senderFunc is a transport made of a function.
type senderFunc func(ctx context.Context, m verification.Message) error

func (f senderFunc) Send(ctx context.Context, m verification.Message) error { return f(ctx, m) }

// sendError is an error of a transport.
type sendError struct {
	text                string
	temporary, operator bool
}

func (f sendError) Error() string   { return f.text }
func (f sendError) Temporary() bool { return f.temporary }
func (f sendError) Operator() bool  { return f.operator }

// mailbox is a transport that counts what it was given.
type mailbox struct {
	mu   sync.Mutex
	sent map[string]int
	at   []time.Time
	// fail is asked for the error of each send; nil means none.
	fail func(ctx context.Context, m verification.Message) error
}

func (b *mailbox) Send(ctx context.Context, m verification.Message) error {
	b.mu.Lock()
	if b.sent == nil {
		b.sent = make(map[string]int)
	}
	b.sent[m.ID]++
	b.at = append(b.at, time.Now())
	b.mu.Unlock()
	if b.fail != nil {
		return b.fail(ctx, m)
	}
	return nil
}

// count returns how many messages were sent, and how often all together.
func (b *mailbox) count() (messages, sends int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.sent {
		sends += n
	}
	return len(b.sent), sends
}

// diary is an observer that remembers.
type diary struct {
	mu     sync.Mutex
	events []Event
}

func (d *diary) Delivery(e Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

func (d *diary) all() []Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.events)
}

func (d *diary) outcomes() string {
	var words []string
	for _, e := range d.all() {
		words = append(words, e.Outcome)
	}
	return strings.Join(words, " ")
}

// rig is a store, and what outboxes over it have in common.
type rig struct {
	*testing.T
	store store.Store
	keys  *keyring.Ring
	diary *diary
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return &rig{T: t, store: storetest.NewMemory(nil), keys: testKeys(t, 1), diary: &diary{}}
}

// tb is what a test and a property have in common.
type tb interface {
	Helper()
	Fatal(args ...any)
}

func testKeys(t tb, seed byte) *keyring.Ring {
	t.Helper()
	keys, err := keyring.New(keyring.Key{ID: 1, Secret: bytes.Repeat([]byte{seed}, keyring.SecretSize)})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// recordVersion is the first byte of every record.
const recordVersion = 1

// plain is what is sealed of a record, under the key "o/k".
func (c codec) plain(t tb, r *record) []byte {
	t.Helper()
	var at storetest.Slot
	if err := c.put(&at, "o/k", r); err != nil {
		t.Fatal(err)
	}
	raw, err := c.keys.Open("o/k", at.Value)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// outbox makes an outbox for mail, with what change says.
func (r *rig) outbox(s Sender, change ...func(*Config)) *Outbox {
	cfg := Config{
		Store: r.store, Keys: r.keys,
		Transports: Transports{Observer: r.diary, Senders: map[verification.Medium]Sender{verification.Email: s}},
	}
	for _, c := range change {
		c(&cfg)
	}
	return New(cfg)
}

// now is a time for which the transports of the configuration are in force.
func (o *Outbox) now() *term { return &term{o.own, make(chan struct{})} }

// stop ends an outbox that has nothing to wait for.
func (r *rig) stop(o *Outbox) {
	r.Helper()
	if err := o.Stop(context.Background()); err != nil {
		r.Errorf("Stop() = %v", err)
	}
}

const (
	testAddress = "alice.liddell@mail.example"
	testToken   = "t0ken-of-256-bits"
	testRefusal = "refusal-of-256-bits"
)

// message is the n-th message of a test.
func message(n int) verification.Message {
	sid := fmt.Sprintf("%sSessionOfAlice%08d", sealed.PartitionName(n), n)
	now := time.Now()
	return verification.Message{
		ID: sid + ".1", SID: sid, Purpose: verification.Password, Medium: verification.Email,
		Address: testAddress, Token: testToken, Created: now, Expires: now.Add(time.Hour),
		Refusal: testRefusal, Attempt: 1,
	}
}

// put commits a message without a wake-up.
func (r *rig) put(o *Outbox, m verification.Message) ref {
	r.Helper()
	p := store.Partition(m.ID[:2])
	if err := r.store.Update(r.Context(), p, func(txn store.Txn) error { return o.Put(txn, m) }); err != nil {
		r.Fatal(err)
	}
	key, _ := verification.OutboxKey(m.ID)
	return ref{p, key}
}

// stored is how many messages the store holds.
func (r *rig) stored() int {
	r.Helper()
	count := 0
	for n := range sealed.Partitions {
		err := verification.OutboxKind.Scan(r.Context(), r.store, sealed.PartitionName(n), func(string, []byte) (bool, error) {
			count++
			return true, nil
		})
		if err != nil {
			r.Fatal(err)
		}
	}
	return count
}

func (r *rig) wantStored(want int) {
	r.Helper()
	if got := r.stored(); got != want {
		r.Errorf("%d messages in the store, want %d", got, want)
	}
}

func (r *rig) wantOutcomes(want string) {
	r.Helper()
	if got := r.diary.outcomes(); got != want {
		r.Errorf("outcomes = %q, want %q", got, want)
	}
}

func wantSends(t *testing.T, b *mailbox, messages, sends int) {
	t.Helper()
	if m, s := b.count(); m != messages || s != sends {
		t.Errorf("%d messages in %d sends, want %d in %d", m, s, messages, sends)
	}
}
