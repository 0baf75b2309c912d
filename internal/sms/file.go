// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// File is a gateway into a folder: for a laptop, where messages are to be read,
// not sent.
type File struct {
	dir string
}

var _ Gateway = (*File)(nil)

// NewFile makes a gateway. The folder is made with the first message.
func NewFile(dir string) *File { return &File{dir: dir} }

// written is what a file holds.
type written struct {
	ID         string    `json:"id"`
	To         string    `json:"to"`
	From       string    `json:"from,omitempty"`
	Text       string    `json:"text"`
	Unicode    bool      `json:"unicode"`
	Segments   int       `json:"segments"`
	ReceiptURL string    `json:"receipt_url,omitempty"`
	At         time.Time `json:"at"`
}

// Send writes the message as a file of its own, whole or not at all. Its name
// sorts by time and tells nothing about the message.
func (f *File) Send(ctx context.Context, m Message) (Accepted, error) {
	switch err := ctx.Err(); {
	case errors.Is(err, context.Canceled):
		return Accepted{}, &SendError{Reason: ReasonInterrupted, Again: true, Err: err}
	case err != nil:
		return Accepted{}, &SendError{Reason: ReasonTimeout, Again: true, Err: err}
	}
	now := time.Now().UTC()
	name := now.Format("20060102T150405.000000000") + "-" + rand.Text()[:8] + ".json"
	content, err := json.MarshalIndent(written{m.ID, "+" + m.To, m.From, m.Text, m.Unicode, m.Segments, m.ReceiptURL, now}, "", "\t")
	if err == nil {
		err = f.write(name, append(content, '\n'))
	}
	if err != nil {
		// The error of the file system names the folder and nothing else.
		return Accepted{}, &SendError{Reason: ReasonFolder, Again: true, Fault: true, Err: err}
	}
	return Accepted{ID: name}, nil
}

func (f *File) write(name string, content []byte) error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(f.dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(f.dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
