// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var hello = Set{Name: "Hello", Packages: []string{"hello"}, Revision: "7", Version: func(ctx context.Context, tree Tree) (string, error) {
	out, err := Run(ctx, "/", nil, tree.Path("usr/bin/hello"))
	return strings.TrimSpace(out), err
}}

// machine is one that has only the programs of a directory, and an empty cache.
func machine(t *testing.T, programs map[string]string) (cache string) {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	return filepath.Join(dir, "cache", "caddy-threepid")
}

// A pretended apt-get knows packages once it was told to fetch its lists, puts
// them where it is, and a pretended dpkg-deb makes a program of one.
const (
	aptWithoutLists = `
case "$*" in
*Dir::State::Lists=*update) ;;
*Dir::State::Lists=*--print-uris*) echo "'http://deb.example/hello_1_all.deb' x 1"; echo "'http://deb.example/libhello1_1_all.deb' x 1";;
*Dir::State::Lists=*download*) for arg; do case $arg in *hello*) echo x > $arg.deb;; esac; done;;
*) echo "E: Unable to locate package hello" >&2; exit 100;;
esac
`
	dpkg = `
[ "$1" = -x ] || exit 1
/bin/mkdir -p "$3/usr/bin"
printf '#!/bin/sh\necho 2.10\n' > "$3/usr/bin/hello"
/bin/chmod +x "$3/usr/bin/hello"
`
)

func TestInstallFetchesListsOfItsOwn(t *testing.T) {
	cache := machine(t, map[string]string{"apt-get": aptWithoutLists, "dpkg-deb": dpkg})
	for range 2 {
		tree, version, err := hello.Install(t.Context(), t.Logf)
		if err != nil || version != "2.10" || tree.Dir != filepath.Join(cache, "hello-"+release()+"-7") {
			t.Fatalf("got %+v, %q, %v", tree, version, err)
		}
		t.Setenv("PATH", filepath.Dir(tree.Path("usr/bin/hello"))) // with neither program: but these are asked for
		if _, _, err := hello.Install(t.Context(), t.Logf); !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v, want %v", err, ErrUnavailable)
		}
		machineAgain := filepath.Join(filepath.Dir(filepath.Dir(cache)), "bin")
		t.Setenv("PATH", machineAgain)
	}
	left, err := os.ReadDir(cache)
	if err != nil || len(left) != 1 {
		t.Errorf("got %d entries (%v), want the tree and no remains", len(left), err)
	}
}

func TestInstallIsUnavailableWithAReason(t *testing.T) {
	for name, test := range map[string]struct {
		programs map[string]string
		want     string
	}{
		"nothing":        {nil, "it needs Debian's packages"},
		"no dpkg-deb":    {map[string]string{"apt-get": "exit 0"}, "it needs Debian's packages"},
		"no archive":     {map[string]string{"apt-get": "echo cannot resolve >&2; exit 100", "dpkg-deb": dpkg}, "cannot resolve"},
		"too little":     {map[string]string{"apt-get": "exit 0", "dpkg-deb": dpkg}, "got 0 packages of 1"},
		"another answer": {map[string]string{"apt-get": "echo \"'http://deb.example/x.zip' x 1\"", "dpkg-deb": dpkg}, "apt answered"},
		"torn packages":  {map[string]string{"apt-get": aptWithoutLists, "dpkg-deb": "echo torn >&2; exit 2"}, "unpack: run dpkg-deb: exit status 2: torn"},
		"does not run":   {map[string]string{"apt-get": aptWithoutLists, "dpkg-deb": "/bin/mkdir -p $3"}, "no such file"},
	} {
		cache := machine(t, test.programs)
		tree, version, err := hello.Install(t.Context(), t.Logf)
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), test.want) || tree.Dir != "" || version != "" {
			t.Errorf("%s: got %+v, %q, %v, want %q", name, tree, version, err, test.want)
		}
		if left, err := filepath.Glob(filepath.Join(cache, "*-new-*")); err != nil || len(left) != 0 {
			t.Errorf("%s: got remains %v (%v)", name, left, err)
		}
	}
}

func TestNamesAreWhatAptWouldFetch(t *testing.T) {
	s := Set{Packages: []string{"postfix", "libsasl2-modules"}}
	got, err := s.names(`Reading package lists...
'http://deb.example/pool/main/c/cyrus-sasl2/libsasl2-2_2.1.28%2bdfsg-10_amd64.deb' libsasl2-2_2.1.28+dfsg-10_amd64.deb 59900 SHA256:00
'http://deb.example/pool/main/p/postfix/postfix_3.7.11-0%2bdeb12u1_amd64.deb' postfix_3.7.11-0+deb12u1_amd64.deb 1510172 SHA256:00
'http://deb.example/pool/main/c/cyrus-sasl2/libsasl2-modules_2.1.28%2bdfsg-10_amd64.deb' libsasl2-modules_2.1.28+dfsg-10_amd64.deb 1 SHA256:00
'http://deb.example/pool/main/c/cpio/cpio_2.13_amd64.deb' cpio_2.13_amd64.deb 1 SHA256:00
'http://deb.example/pool/main/i/icu/libicu72_72.1-3_amd64.deb' libicu72_1%3a72.1-3_amd64.deb 1 SHA256:00
`)
	want := []string{"postfix", "libsasl2-modules", "libsasl2-2", "libicu72"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, odd := range []string{"'http://deb.example/x.tar.gz' x 1\n", "'http://deb.example/%zz.deb' x 1\n"} {
		if got, err := s.names(odd); err == nil {
			t.Errorf("%q: got %v, want an error", odd, got)
		}
	}
}

func TestLibrariesAreThoseOfTheTree(t *testing.T) {
	tree := Tree{Dir: t.TempDir()}
	for _, d := range []string{"usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/other"} {
		if err := os.MkdirAll(tree.Path(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	want := "LD_LIBRARY_PATH=" + strings.Join([]string{"/first", tree.Path("usr/lib/x86_64-linux-gnu"), tree.Path("lib/x86_64-linux-gnu")}, ":")
	if got := tree.Libraries("/first"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
