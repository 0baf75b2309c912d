// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// systemBundles are where distributions keep the certificates that they trust,
// in the order in which Go looks for them (crypto/x509).
var systemBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Alpine, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL 6
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/tls/cacert.pem",                           // OpenELEC
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS, RHEL 7
	"/etc/ssl/cert.pem",                                 // Alpine, macOS, BSD
}

func newCABundleCommand() *cobra.Command {
	cmd := newCommand("ca-bundle [--output <file>]",
		"Writes the certificates that the homeserver has to trust",
		`Writes a file with the certificates that this system trusts and with the root of
the server's own certificate authority, for the homeserver's SSL_CERT_FILE. That
variable replaces the system's certificates, which is why they are in it.

The authority is asked of the running server. Its root lasts ten years; write the
file again after the system's certificates were updated.`, runCABundle)
	remoteFlags(cmd)
	cmd.Flags().StringP("output", "o", "-", "The file to write, or - for standard output")
	cmd.Flags().String("ca", "local", "The name of the certificate authority in the configuration")
	cmd.Flags().String("system", "", "The file with the system's certificates, if it is not found; none leaves them out")
	return jsonFlag(cmd)
}

// Bundle is what `ca-bundle` has written.
type Bundle struct {
	File         string `json:"file"`
	Certificates int    `json:"certificates"`
}

func runCABundle(out io.Writer, flags caddycmd.Flags) (int, error) {
	file := flags.String("output")
	if flags.Bool("json") && file == "-" {
		return exitUsage, wrongUse("name a file with --output: --json tells of it")
	}
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	own, err := server.fetch(http.MethodGet, "/pki/ca/"+url.PathEscape(flags.String("ca"))+"/certificates", nil)
	if err != nil {
		return exitFailed, err
	}
	root, err := lastCertificate(own)
	if err != nil {
		return exitFailed, err
	}
	bundle, err := systemBundle(flags.String("system"))
	if err != nil {
		return exitFailed, err
	}
	if len(bundle) > 0 && !bytes.HasSuffix(bundle, []byte("\n")) {
		bundle = append(bundle, '\n')
	}
	bundle = append(bundle, root...)
	if file != "-" {
		if err := replaceFile(file, bundle); err != nil {
			return exitFailed, err
		}
		if flags.Bool("json") {
			return 0, printJSON(out, Bundle{File: file, Certificates: bytes.Count(bundle, []byte("-----BEGIN CERTIFICATE-----"))})
		}
		return 0, nil
	}
	if _, err := out.Write(bundle); err != nil {
		return exitFailed, fmt.Errorf("write bundle: %w", err)
	}
	return 0, nil
}

// lastCertificate takes the root out of a chain, which begins with the
// intermediate.
func lastCertificate(chain []byte) ([]byte, error) {
	var root *pem.Block
	for {
		block, rest := pem.Decode(chain)
		if block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			root = block
		}
		chain = rest
	}
	if root == nil {
		return nil, errors.New("the server's certificate authority has no certificate")
	}
	return pem.EncodeToMemory(root), nil
}

// systemBundle reads the certificates that this system trusts.
func systemBundle(file string) ([]byte, error) {
	files := systemBundles
	switch file {
	case "":
	case "none":
		return nil, nil
	default:
		files = []string{file}
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if block, _ := pem.Decode(raw); block == nil {
			return nil, fmt.Errorf("%s has no certificate in it", f)
		}
		return raw, nil
	}
	return nil, errors.New("the system's certificates were not found; name the file with --system, or leave them out with --system none")
}

// replaceFile writes a file whole or not at all: a homeserver may be reading it.
// Certificates are no secret.
func replaceFile(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".ca-bundle-*")
	if err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // it is gone when all went well
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}
