// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is what a run of the generator measured.
type load struct {
	perSecond float64
	p50, p99  time.Duration
	requests  int
}

// newClient makes a client that keeps as many connections as there are
// workers.
func newClient(workers int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConns: workers, MaxIdleConnsPerHost: workers, DisableCompression: true,
	}}
}

// generate sends requests from several workers until the time is over or the
// count is reached, whichever is set. Any answer but 200 is an error, and but 401
// where a request says in wantsHeader that it expects that.
func generate(ctx context.Context, client *http.Client, workers int, limit time.Duration, count int64, next func(n int64) (*http.Request, error)) (load, error) {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	var (
		wg        sync.WaitGroup
		sequence  atomic.Int64
		mu        sync.Mutex
		latencies []time.Duration
		failure   error
	)
	start := time.Now()
	for range workers {
		wg.Go(func() {
			var own []time.Duration
			var err error
			for err == nil && ctx.Err() == nil {
				n := sequence.Add(1)
				if count > 0 && n > count {
					break
				}
				began := time.Now()
				if err = one(client, next, n); err == nil {
					own = append(own, time.Since(began))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, own...)
			if err != nil {
				failure = err
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	if failure != nil {
		return load{}, failure
	}
	slices.Sort(latencies)
	n := len(latencies)
	if n == 0 {
		return load{}, fmt.Errorf("no request was finished in %s", took)
	}
	return load{float64(n) / took.Seconds(), latencies[n/2], latencies[n*99/100], n}, nil
}

// wantsHeader has the upstream of the measurement answer with a 401: "token" with
// one about the access token, "uia" with a round of an authentication.
const wantsHeader = "X-Wants-401"

func one(client *http.Client, next func(n int64) (*http.Request, error), n int64) error {
	req, err := next(n)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	want := http.StatusOK
	if req.Header.Get(wantsHeader) != "" {
		want = http.StatusUnauthorized
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%s: status %d", req.URL.Path, resp.StatusCode)
	}
	return nil
}
