// SPDX-License-Identifier: Apache-2.0

package templates

import (
	"sync"
	"testing"
	"time"
)

// TestLoadIsQuick: a configuration is loaded while others wait for it.
func TestLoadIsQuick(t *testing.T) {
	best := time.Hour
	for range 5 {
		began := time.Now()
		if _, err := New(testServer); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(began))
	}
	limit := 300 * time.Millisecond
	if raceDetector {
		limit *= 20
	}
	if best > limit {
		t.Errorf("loading all languages takes %s, at most %s are allowed", best, limit)
	}
}

// TestMailsAtOnce: many workers write mails with one set.
func TestMailsAtOnce(t *testing.T) {
	s := newSet(t)
	var wg sync.WaitGroup
	for _, lang := range s.Languages() {
		want := mailOf(t, s, linkMail, lang.Tag)
		for range 2 {
			wg.Go(func() {
				for range 20 {
					m, links := sample(linkMail, lang.Tag)
					if got, err := s.Mail(m, links); got != want || err != nil {
						t.Errorf("%s: %v, another mail than alone", lang.Tag, err)
					}
				}
			})
		}
	}
	wg.Wait()
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := New(testServer); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMail(b *testing.B) {
	s := newSet(b)
	m, links := sample(linkMail, "ar")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Mail(m, links); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPage(b *testing.B) {
	words := newSet(b).Words("ar")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := words.Text("page confirm password what", PageData{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	s := newSet(b)
	b.ReportAllocs()
	for b.Loop() {
		s.Match("pt-BR,pt;q=0.9,en-US;q=0.8,en;q=0.7")
	}
}
