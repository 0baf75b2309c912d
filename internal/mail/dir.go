// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// Dir is a transport into a folder: for a laptop, where the mail is to be
// read, not sent.
type Dir struct {
	path string
}

// NewDir makes a transport. The folder is made with the first message.
func NewDir(path string) *Dir { return &Dir{path: path} }

// Send writes the message as a file of its own, whole or not at all. Its name
// sorts by time and tells nothing about the message.
func (d *Dir) Send(ctx context.Context, from, to string, message []byte) error {
	if !bare(from) {
		return ErrInvalidSender
	}
	if !bare(to) {
		return ErrInvalidRecipient
	}
	if err := ctx.Err(); err != nil {
		return failure(ctx, "write", err)
	}
	if err := d.write(message); err != nil {
		// The error of the file system names the folder and nothing else.
		return &SendError{Stage: "write", Reason: ReasonFolder, Detail: err.Error(), cause: err, temporary: true, operator: true}
	}
	return nil
}

func (d *Dir) write(message []byte) error {
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(d.path, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(message)
	if err = errors.Join(err, tmp.Close()); err == nil {
		name := time.Now().UTC().Format("20060102T150405.000000000") + "-" + rand.Text()[:8] + ".eml"
		err = os.Rename(tmp.Name(), filepath.Join(d.path, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// Close does nothing.
func (d *Dir) Close() error { return nil }
