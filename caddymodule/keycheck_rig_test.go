// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// vault is a key file and a store, for a Caddy that has nothing but the app.
type vault struct {
	t          *testing.T
	keys, data string
	log        string
	others     string // everything that does not belong to the two
}

func newVault(t *testing.T) *vault {
	t.Helper()
	dir, others := t.TempDir(), t.TempDir()
	t.Cleanup(stopCaddy(t))
	return &vault{
		t: t, keys: filepath.Join(dir, "keys", "keys.json"), data: filepath.Join(dir, "store"),
		log: filepath.Join(others, "caddy.log"), others: others,
	}
}

func stopCaddy(t *testing.T) func() {
	return func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stop caddy: %v", err)
		}
	}
}

// config is the JSON of the smallest configuration.
func (v *vault) config() []byte {
	v.t.Helper()
	type object = map[string]any
	raw, err := json.Marshal(object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"writer": object{"output": "file", "filename": v.log}}}},
		"apps": object{"threepid": object{
			"key_file": v.keys,
			"store":    object{"type": "badger", "path": v.data},
			"mailer":   object{"type": "file", "path": filepath.Join(v.others, "outbox")},
		}},
	})
	if err != nil {
		v.t.Fatal(err)
	}
	return raw
}

// start makes Caddy run it, in the place of what runs.
func (v *vault) start() error { return caddy.Load(v.config(), true) }

func (v *vault) mustStart() *instance.Instance {
	v.t.Helper()
	if err := v.start(); err != nil {
		v.t.Fatal(err)
	}
	return running(v.t)
}

func (v *vault) stop() {
	v.t.Helper()
	stopCaddy(v.t)()
}

func running(t *testing.T) *instance.Instance {
	t.Helper()
	app, err := caddymodule.Running()
	if err != nil {
		t.Fatal(err)
	}
	return app.Instance()
}

// remembered is an address that the store knows.
const remembered = "bob@example.test"

func remember(t *testing.T, rt *instance.Instance) {
	t.Helper()
	err := rt.Suppression.Add(t.Context(), verification.Email, remembered, feedback.ReasonManual, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
}

func knows(t *testing.T, rt *instance.Instance) bool {
	t.Helper()
	_, listed, err := rt.Suppression.Lookup(t.Context(), verification.Email, remembered)
	if err != nil {
		t.Fatal(err)
	}
	return listed
}

// tree is everything below the folders: what there is, what is in it, and when
// it was written.
func tree(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil || !info.Mode().IsRegular() {
				found[path] = info.Mode().String()
				return err
			}
			sum, err := written(path)
			found[path] = fmt.Sprintf("%s %s %d %x", info.Mode(), info.ModTime(), info.Size(), sum)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// written is a sum of what is in a file. A store that is open is mostly holes, which
// Linux skips (lseek(2)).
func written(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const seekData, seekHole = 3, 4
	sum := sha256.New()
	for end := int64(0); goruntime.GOOS == "linux"; {
		begin, err := f.Seek(end, seekData)
		if errors.Is(err, syscall.ENXIO) { // there is no more
			return sum.Sum(nil), nil
		}
		if end, err = f.Seek(begin, seekHole); err != nil {
			return nil, err
		}
		fmt.Fprintln(sum, begin, end)
		if _, err = io.Copy(sum, io.NewSectionReader(f, begin, end-begin)); err != nil {
			return nil, err
		}
	}
	_, err = io.Copy(sum, f)
	return sum.Sum(nil), err
}

func (v *vault) tree() map[string]string {
	v.t.Helper()
	return tree(v.t, filepath.Dir(v.keys), v.data)
}

// unchanged returns a check that neither the key file nor the store were touched.
func (v *vault) unchanged() func() {
	v.t.Helper()
	before := v.tree()
	return func() {
		v.t.Helper()
		if after := v.tree(); !maps.Equal(before, after) {
			v.t.Errorf("there is\n%v\nwant what there was:\n%v", after, before)
		}
	}
}

// logged is whether a line of the log has all of these words.
func (v *vault) logged(words ...string) bool {
	v.t.Helper()
	raw, err := os.ReadFile(v.log)
	if err != nil {
		v.t.Fatal(err)
	}
lines:
	for line := range strings.Lines(string(raw)) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		return true
	}
	return false
}

// caddyfile is the same configuration for a process of its own.
func (v *vault) caddyfile() string {
	return fmt.Sprintf("{\nadmin off\npersist_config off\nthreepid {\nkey_file %s\nstore badger {\npath %s\n}\nmailer file {\npath %s\n}\n}\n}\n",
		v.keys, v.data, filepath.Join(v.others, "outbox"))
}

// child runs the configuration in a process of its own and returns what it says.
// If it comes to serve, it is told to stop.
func (v *vault) child(mode string) (string, error) {
	v.t.Helper()
	file := filepath.Join(v.others, "Caddyfile")
	must(v.t, os.WriteFile(file, []byte(v.caddyfile()), 0o600))
	cmd := exec.CommandContext(v.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), mode+"="+file)
	out, err := cmd.CombinedOutput() // its standard input is at its end
	return string(out), err
}

// unpack writes the store of before check records, as the version of then has
// left it: a key file, a store with a binding and a suppression, and a backup.
func unpack(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	f, err := os.Open(filepath.Join("testdata", "stores", "before-check-records.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(zipped); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		path := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if err == nil && h.FileInfo().IsDir() {
			err = os.MkdirAll(path, 0o700)
		} else if err == nil {
			var raw []byte
			if raw, err = io.ReadAll(files); err == nil {
				err = os.WriteFile(path, raw, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// must is for what has to work for a test to begin.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// newKeyFile makes a key file that nobody has used.
func newKeyFile(t *testing.T, path string) {
	t.Helper()
	draft, err := keyring.Prepare(path)
	must(t, err)
	_, _, err = draft.Place()
	must(t, err)
}
