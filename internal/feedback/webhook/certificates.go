// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"sync"
	"time"
)

// Fetch gets a URL with GET over verified TLS, following no redirect, and
// returns the body of a 200. It must bound time and size.
type Fetch func(ctx context.Context, url string) ([]byte, error)

// Limits of the certificates of SNS. The name of a certificate is part of a
// message that is not verified yet, so it must not cost more than this.
const (
	maxCertificate  = 64 << 10
	maxCertificates = 16
	certificateLife = day
	fetchesPerTime  = 10
	fetchTime       = time.Minute
	minModulus      = 2048
)

const day = 24 * time.Hour

// certificates fetches and keeps the keys of SNS, by URL.
type certificates struct {
	fetch Fetch
	now   func() time.Time
	turn  chan struct{} // one fetch at a time

	mu      sync.Mutex
	keys    map[string]cachedKey
	fetched []time.Time // of late
}

type cachedKey struct {
	key   *rsa.PublicKey
	until time.Time
}

func newCertificates(fetch Fetch, now func() time.Time) *certificates {
	return &certificates{fetch: fetch, now: now, turn: make(chan struct{}, 1), keys: map[string]cachedKey{}}
}

// key returns the key of the certificate at a URL that was found good.
func (c *certificates) key(ctx context.Context, from string) (*rsa.PublicKey, error) {
	if key := c.cached(from); key != nil {
		return key, nil
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, errLater
	}
	if key := c.cached(from); key != nil {
		return key, nil // somebody else fetched it meanwhile
	}
	if !c.mayFetch() {
		return nil, errLater
	}
	raw, err := c.fetch(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("%w: fetch certificate: %w", errLater, err)
	}
	key, until, err := parseCertificate(raw, c.now())
	if err != nil {
		return nil, err
	}
	c.keep(from, cachedKey{key, until})
	return key, nil
}

func (c *certificates) cached(from string) *rsa.PublicKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.keys[from]; ok && c.now().Before(k.until) {
		return k.key
	}
	return nil
}

// mayFetch counts fetches in a sliding window.
func (c *certificates) mayFetch() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for len(c.fetched) > 0 && !c.fetched[0].After(now.Add(-fetchTime)) {
		c.fetched = c.fetched[1:]
	}
	if len(c.fetched) >= fetchesPerTime {
		return false
	}
	c.fetched = append(c.fetched, now)
	return true
}

// keep makes room by dropping what ends first. SNS has a handful.
func (c *certificates) keep(from string, k cachedKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.keys) >= maxCertificates {
		first := ""
		for name, other := range c.keys {
			if first == "" || other.until.Before(c.keys[first].until) {
				first = name
			}
		}
		delete(c.keys, first)
	}
	c.keys[from] = k
}

// parseCertificate returns the key of a PEM file and until when to believe it.
// The chain was checked by the TLS of the host that it came from: the file has
// the certificate alone.
func parseCertificate(raw []byte, now time.Time) (*rsa.PublicKey, time.Time, error) {
	if len(raw) > maxCertificate {
		return nil, time.Time{}, errForbidden
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, time.Time{}, errForbidden
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, time.Time{}, errForbidden
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < minModulus {
		return nil, time.Time{}, errForbidden
	}
	until := now.Add(certificateLife)
	if cert.NotAfter.Before(until) {
		until = cert.NotAfter
	}
	return key, until, nil
}
