// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

func TestCertificateIsFetchedOnceADay(t *testing.T) {
	now := start
	h, box, f := newSES(t, func(cfg *SESConfig) { cfg.Now = func() time.Time { return now } })
	for range 5 {
		post(t, h, signSNS(t, notification(sesBounce)))
	}
	if len(box.reports) != 5 || len(f.urls) != 1 {
		t.Fatalf("%d reports, fetched %q", len(box.reports), f.urls)
	}
	now = now.Add(day)
	m := notification(sesBounce)
	m["Timestamp"] = now.Format(time.RFC3339Nano)
	post(t, h, signSNS(t, m))
	if len(f.urls) != 2 {
		t.Errorf("a day later: fetched %d times, want 2", len(f.urls))
	}
}

func TestCertificateOutOfReachAsksToRepeat(t *testing.T) {
	h, box, f := newSES(t, nil)
	f.fail = errBroken
	if got := post(t, h, signSNS(t, notification(sesBounce))); got != http.StatusServiceUnavailable {
		t.Errorf("status %d", got)
	}
	box.wantNothing(t, feedback.Failed)
	f.fail = nil
	if got := post(t, h, signSNS(t, notification(sesBounce))); got != http.StatusOK {
		t.Errorf("status %d after the fault", got)
	}
}

func TestUnsignedMessagesCostFewFetches(t *testing.T) {
	now := start
	h, _, f := newSES(t, func(cfg *SESConfig) { cfg.Now = func() time.Time { return now } })
	f.fail = errBroken
	for n := range 50 {
		m := notification(sesBounce)
		m["SigningCertURL"] = strings.Replace(certURL, "0123", fmt.Sprintf("%04d", n), 1)
		if got := post(t, h, signSNS(t, m)); got != http.StatusServiceUnavailable {
			t.Errorf("status %d", got)
		}
	}
	if len(f.urls) != fetchesPerTime {
		t.Errorf("%d fetches, want %d", len(f.urls), fetchesPerTime)
	}
	now = now.Add(fetchTime)
	post(t, h, signSNS(t, notification(sesBounce)))
	if len(f.urls) != fetchesPerTime+1 {
		t.Errorf("%d fetches a minute later, want %d", len(f.urls), fetchesPerTime+1)
	}
}

func TestCertificatesThatAreNone(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := certificate(t, &rsaKey().PublicKey, rsaKey(), nil)
	if _, _, err := parseCertificate(append(slices.Clip(good), make([]byte, maxCertificate-len(good))...), start); err != nil {
		t.Errorf("of the most bytes: %v", err)
	}
	for name, file := range map[string][]byte{
		"empty": nil, "no PEM": []byte("hello"), "no certificate": []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		"a key": []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "huge": append(slices.Clip(good), make([]byte, maxCertificate+1-len(good))...),
		"of another type": bytes.ReplaceAll(good, []byte("CERTIFICATE"), []byte("X509 CRL")),
		"small":           certificate(t, &small.PublicKey, small, nil), "ECDSA": certificate(t, &curve.PublicKey, curve, nil),
		"expired": certificate(t, &rsaKey().PublicKey, rsaKey(), func(c *x509.Certificate) { c.NotAfter = start.Add(-time.Second) }),
		"future":  certificate(t, &rsaKey().PublicKey, rsaKey(), func(c *x509.Certificate) { c.NotBefore = start.Add(time.Second) }),
	} {
		h, box, f := newSES(t, nil)
		f.cert = file
		if got := post(t, h, signSNS(t, notification(sesBounce))); got != http.StatusForbidden {
			t.Errorf("%s: %d", name, got)
		}
		box.wantNothing(t, feedback.Forbidden)
	}
}

func TestCertificateIsNotBelievedBeyondItsEnd(t *testing.T) {
	end := start.Add(time.Hour)
	raw := certificate(t, &rsaKey().PublicKey, rsaKey(), func(c *x509.Certificate) { c.NotAfter = end })
	if _, until, err := parseCertificate(raw, start); err != nil || !until.Equal(end) {
		t.Errorf("until %v, %v, want %v", until, err, end)
	}
	raw = certificate(t, &rsaKey().PublicKey, rsaKey(), func(c *x509.Certificate) { c.NotAfter = start.Add(9 * day) })
	if _, until, err := parseCertificate(raw, start); err != nil || !until.Equal(start.Add(day)) {
		t.Errorf("until %v, %v, want a day later", until, err)
	}
}

func TestCertificateCacheIsBounded(t *testing.T) {
	c := newCertificates(nil, fixed)
	for n := range 3 * maxCertificates {
		c.keep(fmt.Sprint(n), cachedKey{&rsaKey().PublicKey, start.Add(time.Duration(n+1) * time.Minute)})
	}
	if len(c.keys) != maxCertificates {
		t.Errorf("%d keys, want %d", len(c.keys), maxCertificates)
	}
	if c.cached("0") != nil || c.cached(fmt.Sprint(3*maxCertificates-1)) == nil {
		t.Error("the newest went, not the oldest")
	}
}

func TestConcurrentMessagesShareOneFetch(t *testing.T) {
	raw := certificate(t, &rsaKey().PublicKey, rsaKey(), nil)
	synctest.Test(t, func(t *testing.T) {
		fetches, release := 0, make(chan struct{})
		c := newCertificates(func(context.Context, string) ([]byte, error) {
			fetches++ // one at a time: the race detector would tell
			<-release
			return raw, nil
		}, fixed)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if key, err := c.key(t.Context(), certURL); err != nil || key == nil {
					t.Errorf("%v", err)
				}
			})
		}
		synctest.Wait()
		// Who cannot wait is not made to.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.key(ctx, certURL); !errors.Is(err, errLater) {
			t.Errorf("after the end of its context: %v", err)
		}
		close(release)
		group.Wait()
		if fetches != 1 {
			t.Errorf("%d fetches, want 1", fetches)
		}
	})
}
