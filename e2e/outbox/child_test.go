// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

// childRun turns this program into one that asks for tokens and sends their
// mails, until its standard input ends.
const childRun = "THREEPID_TEST_OUTBOX"

func TestMain(m *testing.M) {
	if os.Getenv(childRun) == "" {
		os.Exit(m.Run())
	}
	if err := runChild(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
}

// order is what a child is told on the first line of its standard input.
type order struct {
	Dir    string   // of the database
	Relays []string // host:port
	CA     []byte   // PEM
	// Users are those for whom a token is to be requested. Each is told of on
	// standard output as "<user> <sid>" when it has been, and the end of all mail as
	// [allDone].
	Users []int
}

// machinery is a server without its HTTP face.
type machinery struct {
	store  store.Store
	svc    *verification.Service
	outbox *outbox.Outbox
	relays *mail.Relays
}

func (m *machinery) close() error { return errors.Join(m.relays.Close(), m.store.Close()) }

func runChild(in io.Reader, out io.Writer) error {
	commands := bufio.NewReader(in)
	line, err := commands.ReadBytes('\n')
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(line, &o); err != nil {
		return err
	}
	m, err := assemble(o)
	if err != nil {
		return err
	}
	m.outbox.Start()
	if err := m.requestAll(o.Users, out); err != nil {
		return err
	}
	if err := m.awaitEmpty(out); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, commands); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return errors.Join(m.outbox.Stop(ctx), m.close())
}

// allDone is what a child says when no message waits any more.
const allDone = "-1 done"

func (m *machinery) awaitEmpty(out io.Writer) error {
	for {
		status, err := m.outbox.Status(context.Background())
		if err != nil {
			return err
		}
		if status.Waiting[verification.Email] == 0 {
			_, err := fmt.Fprintln(out, allDone)
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// maxQueued is less than there are messages, so that requests are refused and
// come back.
const maxQueued = 4000

// complaints tells of messages that are given up.
type complaints struct{}

func (complaints) Delivery(e outbox.Event) {
	if e.Outcome != outbox.Sent && e.Outcome != outbox.Deferred {
		fmt.Fprintf(os.Stderr, "child: a message was %s at try %d: %v\n", e.Outcome, e.Tries, e.Err)
	}
}

func assemble(o order) (*machinery, error) {
	keys, err := keyring.New(keyring.Key{ID: 1, Secret: bytes.Repeat([]byte{7}, keyring.SecretSize)})
	if err != nil {
		return nil, err
	}
	words, err := words.New("matrix.example.org")
	if err != nil {
		return nil, err
	}
	relays, err := connectTo(o)
	if err != nil {
		return nil, err
	}
	db, err := badgerstore.Open(badgerstore.Options{Dir: o.Dir})
	if err != nil {
		return nil, err
	}
	m := &machinery{store: db, relays: relays}
	m.outbox = outbox.New(outbox.Config{
		Store: db, Keys: keys, Sole: true, Sweep: time.Second,
		Lateness: 5 * time.Second,
		Transports: outbox.Transports{
			Observer: complaints{}, MaxQueued: maxQueued,
			Senders: map[verification.Medium]outbox.Sender{verification.Email: &outbox.MailSender{
				From: "Example <noreply@mail.example.org>", Transport: relays, Templates: words, Keys: keys,
				Link: func(sid, token string) string { return "https://matrix.example.org/c?sid=" + sid + "&token=" + token },
				Refuse: func(sid, refusal string) string {
					return "https://matrix.example.org/r?sid=" + sid + "&refusal=" + refusal
				},
			}},
		},
	})
	m.svc, err = verification.NewService(verification.Config{Store: db, Keys: keys, Outbox: m.outbox})
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// connectTo makes the relays of an order, which are tried again soon.
func connectTo(o order) (*mail.Relays, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(o.CA)
	var relays []mail.Relay
	for i, address := range o.Relays {
		smtp, err := mail.NewSMTP(mail.SMTPConfig{
			Address: address, TLS: mail.STARTTLS, RootCAs: pool, HELO: "client.example.org", Timeout: time.Minute,
		})
		if err != nil {
			return nil, err
		}
		relays = append(relays, mail.Relay{Name: fmt.Sprint("relay", i), Transport: smtp})
	}
	return mail.NewRelays(relays, failover.Config{Delay: 200 * time.Millisecond, MaxDelay: time.Second})
}

func userAddress(user int) string { return fmt.Sprintf("user%d@mail.example", user) }

// requestAll asks for a token for every user, as so many clients would: when
// there is no room, again a little later.
func (m *machinery) requestAll(users []int, out io.Writer) error {
	const clients = 48
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		queue = make(chan int)
		errs  []error
	)
	for range clients {
		wg.Go(func() {
			for user := range queue {
				sid, err := m.request(user)
				mu.Lock()
				if err == nil {
					_, err = fmt.Fprintln(out, user, sid)
				}
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	for _, user := range users {
		queue <- user
	}
	close(queue)
	wg.Wait()
	return errors.Join(errs...)
}

func (m *machinery) request(user int) (sid string, err error) {
	for {
		opened, err := m.svc.RequestToken(context.Background(), verification.Request{
			Purpose: verification.Register, Medium: verification.Email, Address: userAddress(user),
			ClientSecret: fmt.Sprint("secret", user), SendAttempt: 1, Language: "de",
		})
		if !errors.Is(err, outbox.ErrFull) {
			return opened.SID, err
		}
		time.Sleep(50 * time.Millisecond) // as the answer asks a client to, if not as long
	}
}
