// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
)

// DataPath is a path in Caddy's data directory.
func DataPath(name string) string {
	return filepath.Join(caddy.AppDataDir(), "threepid", name)
}

// CertPool reads a ca_file.
func CertPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, PlainPathError(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("it has no certificate in PEM form")
	}
	return pool, nil
}

// PlainPathError is an error of the file system without the name of the call and
// of the file, which is said already.
func PlainPathError(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
