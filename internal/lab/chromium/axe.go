// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// AxeVersion is the version of axe-core that checks pages.
	AxeVersion = "4.14.1"
	// axeDigest is that of the package, as npm's registry states it.
	axeDigest = "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
	axeFile   = "package/axe.min.js"
	maxAxe    = 8 << 20
)

// registry is npm's, unless its own setting names a mirror.
func registry() string {
	for _, name := range []string{"npm_config_registry", "NPM_CONFIG_REGISTRY"} {
		if url := os.Getenv(name); url != "" {
			return strings.TrimSuffix(url, "/")
		}
	}
	return "https://registry.npmjs.org"
}

// Axe returns the program of axe-core, from the cache or from npm's registry.
func Axe(ctx context.Context) (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	// The whole package is kept: its digest is known, and checked on each run.
	path := filepath.Join(dir, "axe-core-"+AxeVersion+".tgz")
	raw, err := os.ReadFile(path)
	if err != nil || checkDigest(raw) != nil {
		if raw, err = download(ctx, registry()+"/axe-core/-/axe-core-"+AxeVersion+".tgz"); err != nil {
			return "", fmt.Errorf("%w: get axe-core: %w", ErrUnavailable, err)
		}
		if err := checkDigest(raw); err != nil {
			return "", err
		}
		if err := replace(path, raw); err != nil {
			return "", fmt.Errorf("keep axe-core: %w", err)
		}
	}
	return fileOf(raw, axeFile)
}

func checkDigest(raw []byte) error {
	sum := sha512.Sum512(raw)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != axeDigest {
		return fmt.Errorf("axe-core %s has the digest %s, want %s", AxeVersion, got, axeDigest)
	}
	return nil
}

func download(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxAxe))
}

// replace writes a file at once, for others may read it.
func replace(path string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".")
	if err != nil {
		return err
	}
	_, err = temp.Write(content)
	if err = errors.Join(err, temp.Close()); err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return os.Rename(temp.Name(), path)
}

// fileOf returns a file of a package.
func fileOf(archive []byte, name string) (string, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return "", fmt.Errorf("unpack: %w", err)
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if err != nil {
			return "", fmt.Errorf("find %s: %w", name, err)
		}
		if header.Name != name {
			continue
		}
		content, err := io.ReadAll(io.LimitReader(files, maxAxe))
		return string(content), err
	}
}

// Finding is something that axe-core does not like, or could not decide.
type Finding struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// String names the rule and the elements.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s", f.ID, f.Impact, f.Help)
	for _, n := range f.Nodes {
		fmt.Fprintf(&b, "\n\t%s\n\t%s", n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", " "))
	}
	return b.String()
}

// Report is what axe-core found. Passed is how many rules were met: a report
// with none has looked at nothing.
type Report struct {
	Violations, Incomplete []Finding
	Passed                 int
}

// RunAxe checks the page for WCAG 2.2, levels A and AA, and for what axe-core
// calls best practice. The page's own policy would keep the program out, so the
// page has to be opened after AllowScripts.
func (t *Tab) RunAxe(ctx context.Context, axe string) (Report, error) {
	var report Report
	if err := t.Evaluate(ctx, axe+"\n;undefined", nil); err != nil {
		return report, fmt.Errorf("load axe-core: %w", err)
	}
	tags, err := json.Marshal([]string{"wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"})
	if err != nil {
		return report, err
	}
	err = t.Evaluate(ctx, `axe.run(document, {runOnly: {type: "tag", values: `+string(tags)+`}}).then(r => ({
		violations: r.violations, incomplete: r.incomplete, passed: r.passes.length}))`, &report)
	return report, err
}

// AllowScripts lets scripts into the pages that are opened from now on, against
// their Content-Security-Policy.
func (t *Tab) AllowScripts(ctx context.Context) error {
	return t.Call(ctx, "Page.setBypassCSP", Params{"enabled": true}, nil)
}
