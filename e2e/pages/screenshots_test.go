// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/chromium"
)

const (
	folder  = "../../docs/pages"
	maxSize = 60 << 10
)

// captions are the looks in words, for the index.
var captions = map[string]string{"light": "Light", "dark": "Dark", "phone": "Phone", "rtl": "Right to left (Arabic)"}

// TestScreenshots holds docs/pages to the pages. With -update it takes the
// pictures; without, it compares the pages with those that were pictured.
func TestScreenshots(t *testing.T) {
	page, ctx := tab(t)
	var sums strings.Builder
	for _, sc := range scenes {
		for _, l := range looks {
			if l.name == "" {
				continue
			}
			must(t, page.Use(ctx, l.mode))
			play(t, ctx, page, sc)
			name := string(sc.state) + "-" + l.name
			fmt.Fprintf(&sums, "%s  %s\n", digest(t, ctx, page), name)
			path := filepath.Join(folder, name+".png")
			if *update {
				shot, err := page.Screenshot(ctx)
				must(t, err)
				must(t, os.WriteFile(path, shrink(t, shot), 0o644))
			}
			checkPicture(t, path, l.mode)
		}
	}
	golden(t, "pages.sum", sums.String())
	golden(t, "README.md", index())
	files, err := filepath.Glob(filepath.Join(folder, "*.png"))
	must(t, err)
	if want := strings.Count(sums.String(), "\n"); len(files) != want {
		t.Errorf("there are %d pictures in %s, want %d", len(files), folder, want)
	}
}

// golden compares a text file with what it should be, or rewrites it.
func golden(t *testing.T, name, want string) {
	t.Helper()
	path := filepath.Join(folder, name)
	if *update {
		must(t, os.WriteFile(path, []byte(want), 0o644))
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%v: run `make golden`", err)
		return
	}
	if string(got) == want {
		return
	}
	old := map[string]bool{}
	for line := range strings.Lines(string(got)) {
		old[line] = true
	}
	for line := range strings.Lines(want) {
		if !old[line] {
			t.Errorf("%s is out of date at %q: run `make golden` and look at the pictures", name, strings.TrimSpace(line))
		}
	}
	if !t.Failed() {
		t.Errorf("%s has lines too many: run `make golden`", name)
	}
}

// changing is what differs from one page to the next.
var changing = regexp.MustCompile(`(name="(?:nonce|sid|token|link|refusal)" value=|sid=)("[^"]*"|[0-9A-Za-z_-]+)`)

// digest is that of all that decides what a page looks like.
func digest(t *testing.T, ctx context.Context, page *chromium.Tab) string {
	t.Helper()
	var source string
	must(t, page.Evaluate(ctx, "document.documentElement.outerHTML", &source))
	sum := sha256.Sum256([]byte(changing.ReplaceAllString(source, "$1")))
	return hex.EncodeToString(sum[:8])
}

// checkPicture insists on a picture of the size of the window that shows
// something.
func checkPicture(t *testing.T, path string, mode chromium.Mode) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%v: run `make golden`", err)
		return
	}
	if len(raw) > maxSize {
		t.Errorf("%s has %d bytes, at most %d are allowed", path, len(raw), maxSize)
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	if got := picture.Bounds().Size(); got != (image.Point{X: mode.Width, Y: mode.Height}) {
		t.Errorf("%s is %v, want %d x %d", path, got, mode.Width, mode.Height)
	}
	if seen := colours(picture); len(seen) < 10 {
		t.Errorf("%s has %d colours: it shows nothing", path, len(seen))
	}
}

// colours are those of a picture, the most frequent ones first.
func colours(picture image.Image) color.Palette {
	seen := map[color.NRGBA]int{}
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			c, _ := color.NRGBAModel.Convert(picture.At(x, y)).(color.NRGBA)
			seen[c]++
		}
	}
	order := slices.SortedFunc(maps.Keys(seen), func(a, b color.NRGBA) int {
		return cmp.Or(seen[b]-seen[a], int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B))
	})
	list := make(color.Palette, len(order))
	for i, c := range order {
		list[i] = c
	}
	return list
}

// shrink writes a picture in few colours: the edges of letters have hundreds of
// shades that nobody sees.
func shrink(t *testing.T, shot []byte) []byte {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(shot))
	must(t, err)
	palette := colours(picture)
	small := image.NewPaletted(picture.Bounds(), palette[:min(len(palette), 48)])
	draw.Draw(small, small.Bounds(), picture, image.Point{}, draw.Src)
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	must(t, encoder.Encode(&out, small))
	return out.Bytes()
}

// index is the page that shows all pictures.
func index() string {
	var b strings.Builder
	b.WriteString(`# The pages

What readers of the mails see, as the real Chromium draws it with JavaScript
allowed or not: there is none. Each page is checked by axe-core against WCAG
2.2, levels A and AA, in all of these looks and some more
(` + "`e2e/pages`" + `). The pictures are taken by ` + "`make golden`" + `.

A brand changes the name, the logo and the colours; colours that could not be
read are refused when the configuration is loaded.
`)
	for _, sc := range scenes {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", strings.ToUpper(string(sc.state[:1]))+string(sc.state[1:]), about[sc.state])
		var heads, rules, cells []string
		for _, l := range looks {
			if l.name != "" {
				heads = append(heads, captions[l.name])
				rules = append(rules, "---")
				cells = append(cells, fmt.Sprintf("![%s, %s](%s-%s.png)", sc.state, strings.ToLower(captions[l.name]), sc.state, l.name))
			}
		}
		for _, row := range [][]string{heads, rules, cells} {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		}
	}
	return b.String()
}
