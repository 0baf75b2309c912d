// SPDX-License-Identifier: Apache-2.0

package route

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// oddPaths are those that cost most to look at, of a length each.
func oddPaths(length int) map[string]string {
	fill := func(start, part string) string {
		return start + strings.Repeat(part, (length-len(start))/len(part))
	}
	return map[string]string{
		"escapes":     fill("/_matrix/client/r0/", "%252525"),
		"all at once": fill("/_matrix/client/r0/", `x%252520%2525;a\..;b/./.. /%25/../y`),
		"one by one":  fill("/_matrix/client/r0/", `%252541/b c/d\e/f;g/h/../i//j/`),
		"nested":      fill("/_matrix/client/r0/", "%2525%35%63"),
		"dots":        fill("/_matrix/client/r0/", "a/../"),
		"parameters":  fill("/_matrix/client/r0/", ";a/"),
		"blanks":      fill("/_matrix/client/r0/", "\u00a0"),
		"slashes":     fill("/_matrix/client/r0", "/"),
	}
}

// asked is a path as a request has it: decoded once.
func asked(path string) *url.URL {
	return &url.URL{Path: path, RawPath: "odd"}
}

// TestOddPathsAreShort: what parsers may read differently is looked at up to 1 kB,
// and there are not many ways to read it.
func TestOddPathsAreShort(t *testing.T) {
	rt := &Router{Prefixes: DefaultPrefixes, Identity: true}
	for name, path := range oddPaths(MaxOddPath) {
		if all, _ := readings(path); len(all) > maxReadings {
			t.Errorf("%s: got %d readings, want %d at most", name, len(all), maxReadings)
		}
	}
	if MaxOddPath > 1<<10 {
		t.Errorf("got %d bytes that are looked at, want 1,024 at most", MaxOddPath)
	}
	// What is plain may be as long as it likes, and the longest names that Matrix
	// has are short enough.
	longest := strings.Repeat("%3A", 255)
	for _, path := range []string{
		"/_matrix/client/v3/x/" + strings.Repeat("a", 100<<10),
		"/_matrix/client/v3/rooms/" + longest + "/state/" + longest + "/" + longest,
		"/_matrix/client/v3/rooms/" + strings.Repeat("%C3%A4", 127) + "/state/a%5Cb%20c%3Bd%25e%2F..%2Ff/" + longest,
	} {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, suspicious := rt.Classify(u); suspicious {
			t.Errorf("%.60s… is refused", path)
		}
	}
}

// TestTooManyReadingsAreRefused, and not looked at further.
func TestTooManyReadingsAreRefused(t *testing.T) {
	rt := &Router{Prefixes: DefaultPrefixes}
	refused := 0
	for name, path := range oddPaths(MaxOddPath) {
		if _, ok := readings(path); ok {
			continue
		}
		refused++
		if _, suspicious := rt.Classify(asked(path)); !suspicious {
			t.Errorf("%s passes", name)
		}
	}
	if refused == 0 {
		t.Error("no path has too many readings")
	}
}

// TestMaxSegmentsIsThatOfTheTable keeps the short cut in step with the table.
func TestMaxSegmentsIsThatOfTheTable(t *testing.T) {
	longest := 0
	for _, e := range Table {
		longest = max(longest, len(e.Segments))
	}
	if longest != maxSegments {
		t.Errorf("got %d segments in the longest row, want %d", longest, maxSegments)
	}
}

// BenchmarkOddPath is the price of a path that parsers may read differently, where
// it is longest. It was 5 ms with 8 kB.
func BenchmarkOddPath(b *testing.B) {
	rt := &Router{Prefixes: DefaultPrefixes, Identity: true}
	for name, path := range oddPaths(MaxOddPath) {
		b.Run(fmt.Sprintf("%s of %d", name, MaxOddPath), func(b *testing.B) {
			b.ReportAllocs()
			u := asked(path)
			for b.Loop() {
				rt.Classify(u)
			}
		})
	}
}
