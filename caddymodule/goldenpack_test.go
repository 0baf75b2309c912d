// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

// wholeSize is how long a file was before the zeros at its end were left out: Badger's
// files are made long at once, and have holes.
const wholeSize = "threepid.size"

// packGolden makes an archive of what a reader of the golden store needs.
func packGolden(t *testing.T, dir, archive string) {
	t.Helper()
	var out bytes.Buffer
	gz, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	must(t, err)
	to := tar.NewWriter(gz)
	files, err := filepath.Glob(dir + "/store/*")
	must(t, err)
	for _, file := range append(files, dir+"/keys.json", dir+"/notes.json") {
		if filepath.Base(file) == "LOCK" {
			continue
		}
		raw, err := os.ReadFile(file)
		must(t, err)
		name, err := filepath.Rel(dir, file)
		must(t, err)
		short := bytes.TrimRight(raw, "\x00")
		must(t, to.WriteHeader(&tar.Header{
			Name: filepath.ToSlash(name), Mode: 0o600, Size: int64(len(short)), Format: tar.FormatPAX,
			PAXRecords: map[string]string{wholeSize: strconv.Itoa(len(raw))},
		}))
		_, err = to.Write(short)
		must(t, err)
	}
	must(t, to.Close(), gz.Close(), os.WriteFile(archive, out.Bytes(), 0o600))
}

// unpackGolden makes a folder of an archive, with the files as long as they were.
func unpackGolden(t *testing.T, archive string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	raw, err := os.ReadFile(archive)
	must(t, err)
	gz, err := gzip.NewReader(bytes.NewReader(raw))
	must(t, err)
	must(t, os.Mkdir(dir+"/store", 0o700))
	for from := tar.NewReader(gz); ; {
		h, err := from.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		must(t, err)
		content, err := io.ReadAll(from)
		must(t, err)
		size, err := strconv.ParseInt(h.PAXRecords[wholeSize], 10, 64)
		file := filepath.Join(dir, filepath.FromSlash(h.Name))
		must(t, err, os.WriteFile(file, content, 0o600), os.Truncate(file, size))
	}
}

// rawEntry is what Badger has: the value begins with the time of its end.
type rawEntry struct {
	Partition store.Partition
	Key       string
	Value     []byte
}

const rawHeader = 5

// kind is the kind of its record, within the package that writes it.
func (e rawEntry) kind() string {
	of := ""
	if len(e.Partition) > 2 { // others are called by numbers
		of = string(e.Partition) + " "
	}
	kind, _, _ := strings.Cut(e.Key, "/")
	return of + kind
}

// ends is when the entry ends, or zero.
func (e rawEntry) ends() (at time.Time) {
	if units := binary.BigEndian.Uint64(append(make([]byte, 8-rawHeader), e.Value[:rawHeader]...)); units != 0 {
		at = time.UnixMilli(int64(units) * 10)
	}
	return at
}

// rawEntries reads a store with nothing but Badger, and closes it, without small tables: in
// a life nothing makes one of them. Those that leave says
// so of are deleted.
func rawEntries(t *testing.T, dir string, leave func(rawEntry) bool) (list []rawEntry) {
	t.Helper()
	db, err := badger.Open(badger.DefaultOptions(dir).WithLogger(nil).WithCompactL0OnClose(true))
	must(t, err)
	must(t, db.Update(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			value, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			partition, key, ok := strings.Cut(string(it.Item().KeyCopy(nil)), "/")
			if !ok {
				continue // of the store's own
			}
			e := rawEntry{store.Partition(partition), key, value}
			list = append(list, e)
			if !leave(e) {
				continue
			}
			if err := txn.Delete(it.Item().KeyCopy(nil)); err != nil {
				return err
			}
		}
		return nil
	}), db.Close())
	return list
}

func leaveAll(rawEntry) bool { return false }

// aside is a kind of record that the program seals anew with the key in use, or works on
// as soon as it starts.
func aside(e rawEntry) bool {
	switch e.kind() {
	case "b", "x", "o":
		return true
	}
	return false
}

// setAside takes such records out of the store, and keeps them for putBack. So the golden
// store is one of a program that was killed before it had begun to work on them.
func (g *golden) setAside() {
	kept := g.kept()
	for _, e := range rawEntries(g.t, g.path("store"), aside) {
		if aside(e) {
			kept = append(kept, e)
		}
	}
	raw, err := json.Marshal(kept)
	must(g.t, err, os.WriteFile(g.path("aside.json"), raw, 0o600))
}

func (g *golden) kept() (list []rawEntry) {
	raw, err := os.ReadFile(g.path("aside.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	must(g.t, err, json.Unmarshal(raw, &list))
	return list
}

// putBack does not close the store.
func (g *golden) putBack() {
	s, err := badgerstore.Open(badgerstore.Options{Dir: g.path("store")})
	must(g.t, err)
	for _, e := range g.kept() {
		must(g.t, s.Update(g.t.Context(), e.Partition, func(txn store.Txn) error { return txn.Set(e.Key, e.Value[rawHeader:], e.ends()) }))
	}
}

// readRaw counts the entries of each kind by the key that has sealed them: the first is
// how many have no seal.
func (g *golden) readRaw() {
	ring, err := keyring.Load(g.path("keys.json"))
	must(g.t, err)
	g.raw = map[string][4]int{}
	for _, e := range rawEntries(g.t, g.path("store"), leaveAll) {
		by := byte(0)
		if text, err := ring.Open(e.Key, e.Value[rawHeader:]); err == nil {
			by, _ = keyring.SealedBy(e.Value[rawHeader:])
			g.plain = append(g.plain, string(text))
		}
		n := g.raw[e.kind()]
		n[by]++
		g.raw[e.kind()] = n
	}
}
