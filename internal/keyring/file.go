// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// keyFile is the JSON form of a key file. The first key is the one in use.
type keyFile struct {
	Version int       `json:"version"`
	Keys    []fileKey `json:"keys"`
}

type fileKey struct {
	ID     byte   `json:"id"`
	Secret []byte `json:"secret"` // base64 in JSON
}

// LoadOrCreate reads the key file, or makes one with a fresh key when there
// is none. Two processes that start at once end up with the same key: the
// file appears whole and only once.
func LoadOrCreate(path string) (*Ring, error) {
	ring, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, err
	}
	if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return Load(path)
}

// Load reads a key file.
func Load(path string) (*Ring, error) {
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
		return nil, fmt.Errorf("key file %s is not valid JSON of the expected form", path)
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("key file %s has version %d, want 1", path, f.Version)
	}
	keys := make([]Key, len(f.Keys))
	for i, k := range f.Keys {
		keys[i] = Key(k)
	}
	ring, err := New(keys...)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return ring, nil
}

// create writes a new key file; it fails with fs.ErrExist when another process
// was faster. The link makes the complete file appear in one step, which a
// rename would too, but a rename would replace the other one's key.
func create(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder of key file: %w", err)
	}
	secret := make([]byte, SecretSize)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	raw, err := json.MarshalIndent(keyFile{Version: 1, Keys: []fileKey{{ID: 1, Secret: secret}}}, "", "\t")
	if err != nil {
		return fmt.Errorf("encode key file: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return fmt.Errorf("create key file: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(raw, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return fmt.Errorf("place key file: %w", err)
	}
	return nil
}
