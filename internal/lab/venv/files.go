// SPDX-License-Identifier: Apache-2.0

package venv

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// WriteFile writes a file that nobody else may read, in full or not at all.
func WriteFile(path string, content []byte) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, content, 0o600); err != nil { //nolint:gosec // G703: the directory is its caller's to name
		return err
	}
	return os.Rename(temp, path)
}

// Keep returns the secret in the file at path, making it first if there is none.
func Keep(path string, make func() string) (string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		content = []byte(make() + "\n")
		err = WriteFile(path, content)
	}
	if err != nil {
		return "", fmt.Errorf("keep %s: %w", filepath.Base(path), err)
	}
	return strings.TrimSpace(string(content)), nil
}

// bundle joins PEM files to the one file that SSL_CERT_FILE can name. OpenSSL
// trusts every certificate in it.
func bundle(path string, parts []string) error {
	var all []byte
	for _, part := range parts {
		pem, err := os.ReadFile(part)
		if err != nil {
			return fmt.Errorf("read a CA file: %w", err)
		}
		if !bytes.Contains(pem, []byte("-----BEGIN CERTIFICATE-----")) {
			return fmt.Errorf("%s holds no certificate", part)
		}
		all = append(append(all, bytes.TrimSpace(pem)...), '\n')
	}
	return WriteFile(path, all)
}
