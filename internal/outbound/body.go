// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"errors"
	"io"
)

// cappedBody is the body of an answer that ends in [ErrTooLarge] instead of
// growing past its cap. Cutting it off in silence would let half an answer pass
// for a whole one.
type cappedBody struct {
	body io.ReadCloser
	left int64
	err  error
}

// Read implements [io.Reader]. At the cap it reads on, to tell a body of just that
// size from a larger one, and then hangs up.
func (b *cappedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.body.Read(p)
	if int64(n) > b.left {
		n, err = int(b.left), ErrTooLarge
		_ = b.body.Close()
	}
	b.left -= int64(n)
	b.err = err
	return n, err
}

func (b *cappedBody) Close() error {
	if b.err == nil {
		b.err = errors.New("read after close")
	}
	return b.body.Close()
}
