// SPDX-License-Identifier: Apache-2.0

// Package faults has a double of a server fail on purpose.
package faults

import (
	"io"
	"net/http"
	"slices"
	"sync"
)

// Fault answers a request in place of the server. It may call next to have the
// request handled after all, before or after doing harm.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// due is a Fault for the next n requests that match.
type due struct {
	n     int // negative: until ClearFaults
	match func(*http.Request) bool
	do    Fault
}

// Queue is the faults that are due. A server has one, and asks it before it answers.
type Queue struct {
	mu  sync.Mutex
	due []*due
}

// Inject gives the next n requests that match to f; a nil match matches every
// request, and a negative n lasts until [Queue.ClearFaults]. Of several faults
// that match, the one injected first is used up first. match must not call the
// queue.
func (q *Queue) Inject(n int, match func(*http.Request) bool, f Fault) {
	if n == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due = append(q.due, &due{n: n, match: match, do: f})
}

// ClearFaults drops every fault that is still due. Requests that are already in
// one stay in it.
func (q *Queue) ClearFaults() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due = nil
}

// Take uses up the fault that is due for a request, if any.
func (q *Queue) Take(r *http.Request) Fault {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, f := range q.due {
		if f.match != nil && !f.match(r) {
			continue
		}
		if f.n > 0 {
			f.n--
		}
		if f.n == 0 {
			q.due = slices.Delete(q.due, i, i+1)
		}
		return f.do
	}
	return nil
}

// HangNext holds the next n requests until release is called, and then has them
// handled; one whose client gives up meanwhile is dropped unhandled. Release may be
// called more than once, and who closes the server need not wait for it.
func (q *Queue) HangNext(n int) (release func()) {
	released := make(chan struct{})
	q.Inject(n, nil, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		select {
		case <-released:
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	})
	return sync.OnceFunc(func() { close(released) })
}

// Answering gives an answer of any kind, and does nothing else: a page of an error, or
// a 200 that lies.
func Answering(status int, contentType, text string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}
