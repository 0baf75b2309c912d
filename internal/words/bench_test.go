// SPDX-License-Identifier: Apache-2.0

package words

import (
	"sync"
	"testing"
)

// TestLoadCostsLittle: a configuration is loaded while others wait for it. What it costs
// is counted in allocations, which no other program on the machine can make more.
func TestLoadCostsLittle(t *testing.T) {
	const limit = 400_000
	got := testing.AllocsPerRun(1, func() {
		if _, err := load(Options{Server: testServer}); err != nil {
			t.Fatal(err)
		}
	})
	if got > limit {
		t.Errorf("loading all languages takes %.0f allocations, at most %d are allowed", got, limit)
	}
	t.Logf("%.0f allocations", got)
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
		if _, err := load(Options{Server: testServer}); err != nil {
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
