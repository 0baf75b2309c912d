// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// keyFile is the JSON form of a key file. The first key is the one in use.
type keyFile struct {
	Version int       `json:"version"`
	Keys    []fileKey `json:"keys"`
}

type fileKey struct {
	ID     byte   `json:"id"`
	Secret []byte `json:"secret"` // base64 in JSON
	// Since is when the key came into use. Files of before rotation lack it.
	Since time.Time `json:"since,omitzero"`
}

// Load reads a key file.
func Load(path string) (*Ring, error) {
	f, err := read(path)
	if err != nil {
		return nil, err
	}
	return f.ring(path)
}

// ring makes a ring of the keys of a file.
func (f *keyFile) ring(path string) (*Ring, error) {
	keys := make([]Key, len(f.Keys))
	for i, k := range f.Keys {
		keys[i] = Key(k)
	}
	ring, err := New(keys...)
	if err != nil {
		return nil, fmt.Errorf("%s is not a whole key file: %w", path, err)
	}
	return ring, nil
}

func read(path string) (*keyFile, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var f keyFile
	err = dec.Decode(&f)
	if _, end := dec.Token(); err != nil || !errors.Is(end, io.EOF) {
		// One value and nothing behind it, or somebody edited half a file. The
		// decoder's own error may quote it.
		return nil, fmt.Errorf("%s is not a key file: it is not JSON of that form, or only a part of it", path)
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("%s is not a key file of this version: it has version %d, not 1", path, f.Version)
	}
	return &f, nil
}

func newKey(id byte, now time.Time) fileKey {
	secret := make([]byte, SecretSize)
	rand.Read(secret) // which ends the program rather than failing
	return fileKey{ID: id, Secret: secret, Since: now.UTC().Truncate(time.Second)}
}

// step does one thing to the disk that can fail. Tests make it fail.
var step = func(_ string, do func() error) error { return do() }

// tempPrefix begins the names of files that are being written.
const tempPrefix = ".keys-"

// writeBeside writes a key file under another name in the same folder, to the
// disk.
func writeBeside(path string, f *keyFile) (name string, err error) {
	raw, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		return "", fmt.Errorf("encode key file: %w", err)
	}
	var tmp *os.File
	err = step("create", func() (err error) {
		tmp, err = os.CreateTemp(filepath.Dir(path), tempPrefix+"*") // mode 0600
		return err
	})
	if err != nil {
		return "", fmt.Errorf("create key file: %w", err)
	}
	err = step("write", func() error {
		_, err := tmp.Write(append(raw, '\n'))
		return err
	})
	if err = errors.Join(err, step("sync", tmp.Sync), step("close", tmp.Close)); err != nil {
		_ = os.Remove(tmp.Name()) // the first error is the one to be told
		return "", fmt.Errorf("write key file: %w", err)
	}
	return tmp.Name(), nil
}
