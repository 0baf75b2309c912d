// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
)

// concurrency is how many messages a gateway is handed at a time.
const concurrency = 8

// RouterConfig says which gateway carries which message.
type RouterConfig struct {
	// Gateways are all of them, by name.
	Gateways map[string]Gateway
	// Routes say who carries what. A number that none of them is about gets
	// [ReasonNoRoute].
	Routes []Route
	// Originators fill in Message.From where it is empty.
	Originators Originators
	// Charge pays for one more message, before a gateway is asked while an
	// earlier one may have sent it. If it fails, nothing is sent. Nil: it is
	// free.
	Charge func(ctx context.Context, m Message) error

	// Breaker says how patient the router is with a gateway that fails.
	Breaker failover.Config
}

// Router sends by the first gateway of a number's route that is in order.
type Router struct {
	cfg   RouterConfig
	peers map[string]*peer
	table *table
}

// NewRouter checks a configuration.
func NewRouter(cfg RouterConfig) (*Router, error) {
	patience, err := cfg.Breaker.WithDefaults()
	if err != nil {
		return nil, fmt.Errorf("leave a broken gateway alone: %w", err)
	}
	r := &Router{cfg: cfg, peers: map[string]*peer{}}
	for name, g := range cfg.Gateways {
		if name == "" || name == AnyGateway || g == nil {
			return nil, fmt.Errorf("sender %q: has no name, or is none", name)
		}
		r.peers[name] = failover.NewPeer(name, &limited{g, make(chan struct{}, concurrency)}, patience)
	}
	if r.table, err = newTable(cfg.Routes, r.peers); err != nil {
		return nil, err
	}
	if err := cfg.Originators.check(r.peers); err != nil {
		return nil, err
	}
	return r, nil
}

// Send hands a message to the first gateway of its route that takes it, and
// tells which one that was. The next one is asked while the fault is the
// gateway's and not the message's. If one of them may have sent the message all
// the same, the next call is paid for, and the error says Unsure whatever comes
// after: an earlier call's message may still arrive.
func (r *Router) Send(ctx context.Context, region string, m Message) (string, Accepted, error) {
	order := r.table.find(region, m.To)
	if order == nil {
		return "", Accepted{}, &SendError{Reason: ReasonNoRoute, Unsure: m.Repeat}
	}
	s := &sending{Router: r, region: region, message: m, owing: m.Repeat, unsure: m.Repeat}
	if err := failover.Walk(ctx, order, s); err != nil {
		return "", Accepted{}, s.failure(err)
	}
	return s.by, s.accepted, nil
}

// Status tells what is known of the gateways, by name.
func (r *Router) Status() []failover.Status {
	all := make([]failover.Status, 0, len(r.peers))
	for _, name := range slices.Sorted(maps.Keys(r.peers)) {
		all = append(all, r.peers[name].Status())
	}
	return all
}

// Close closes the gateways that can be closed.
func (r *Router) Close() error {
	var errs []error
	for _, one := range r.peers {
		if c, ok := one.Via.Gateway.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
