// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// A backup is a line of magic, the time when it was begun (Unix milliseconds,
// 8 bytes, big-endian), the entries, an empty entry, and the SHA-256 of
// everything before it. An entry is the length of its key and the key, the
// length of its value and the value, as they are in Badger: the exact expiry is
// in the value. Lengths are unsigned varints.
const backupMagic = "caddy-threepid backup 1\n"

// ErrBackup is returned for a backup that is not whole, was changed, or is none.
var ErrBackup = errors.New("this is no whole and unchanged backup")

// BackupInfo says what is in a backup.
type BackupInfo struct {
	Begun   time.Time
	Entries int
	Sum     [sha256.Size]byte
}

// Backup writes what the store holds at this moment, all of the same moment,
// while it goes on serving. What an update was answered for before is in it. It
// is for [Restore]; deleted and expired entries are not in it.
func (s *Store) Backup(ctx context.Context, w io.Writer) (BackupInfo, error) {
	if !s.running.Enter() {
		return BackupInfo{}, store.ErrClosed
	}
	defer s.running.Leave()
	info := BackupInfo{Begun: s.opts.Clock().UTC().Truncate(time.Millisecond)}
	out := newSummed(w)
	out.write([]byte(backupMagic))
	out.write(binary.BigEndian.AppendUint64(nil, uint64(info.Begun.UnixMilli())))

	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewIterator(badger.DefaultIteratorOptions)
	defer it.Close()
	for it.Rewind(); it.Valid() && out.err == nil; it.Next() {
		if err := ctx.Err(); err != nil {
			return info, err
		}
		if err := s.backUp(it.Item(), out, &info); err != nil {
			return info, err
		}
	}
	out.piece(nil)
	out.piece(nil)
	out.sum.Sum(info.Sum[:0])
	out.write(info.Sum[:])
	if err := out.out.Flush(); err != nil {
		return info, fmt.Errorf("write backup: %w", err)
	}
	return info, nil
}

// backUp writes an entry, unless it is of the store's own or no longer lives.
func (s *Store) backUp(item *badger.Item, out *summed, info *BackupInfo) error {
	key := item.Key()
	if !ofPartition(key) {
		return nil
	}
	err := item.Value(func(raw []byte) error {
		_, live, err := decode(raw, s.opts.Clock())
		if !live {
			return err
		}
		info.Entries++
		out.piece(key)
		out.piece(raw)
		return nil
	})
	return translate("back up badger store", err)
}

// ofPartition tells the keys of partitions from those of the store's own.
func ofPartition(key []byte) bool {
	partition, name, _ := strings.Cut(string(key), separator)
	return store.CheckKey(store.Partition(partition), name) == nil
}

// summed writes and sums up. Its first error stays, as that of a [bufio.Writer] does.
type summed struct {
	out *bufio.Writer
	sum hash.Hash
	err error
}

func newSummed(w io.Writer) *summed {
	return &summed{out: bufio.NewWriterSize(w, 64<<10), sum: sha256.New()}
}

func (s *summed) write(b []byte) {
	s.sum.Write(b)
	_, s.err = s.out.Write(b)
}

func (s *summed) piece(b []byte) {
	s.write(binary.AppendUvarint(nil, uint64(len(b))))
	s.write(b)
}

// CheckBackup reads a backup to its end, and returns ErrBackup unless it is one,
// whole and unchanged. The checksum finds accidents; who can write to a backup
// can write the checksum too.
func CheckBackup(ctx context.Context, r io.Reader) (BackupInfo, error) {
	return readBackup(ctx, r, func(string, []byte) error { return nil })
}

// readBackup calls do with every entry. The checksum comes last: until it has
// returned without an error nothing that do was told counts.
func readBackup(ctx context.Context, r io.Reader, do func(key string, raw []byte) error) (info BackupInfo, err error) {
	in := &summedReader{in: bufio.NewReaderSize(r, 64<<10), sum: sha256.New()}
	magic, begun := in.read(len(backupMagic)), in.read(8)
	if in.err != nil {
		return info, in.err
	}
	if string(magic) != backupMagic {
		return info, ErrBackup
	}
	info.Begun = time.UnixMilli(int64(binary.BigEndian.Uint64(begun))).UTC()
	for {
		if err := ctx.Err(); err != nil {
			return info, err
		}
		key := in.piece(store.MaxKeySize + 64)
		raw := in.piece(store.MaxValueSize + headerSize)
		if in.err != nil {
			return info, in.err
		}
		if len(key) == 0 {
			break
		}
		if !ofPartition(key) || len(raw) < headerSize {
			return info, ErrBackup
		}
		info.Entries++
		if err := do(string(key), raw); err != nil {
			return info, err
		}
	}
	return info, in.end(&info.Sum)
}

// summedReader reads and sums up. Its first error stays, and is ErrBackup for an
// end that comes too early.
type summedReader struct {
	in  *bufio.Reader
	sum hash.Hash
	err error
}

func (s *summedReader) fail(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrBackup
	}
	if s.err == nil {
		s.err = err
	}
}

func (s *summedReader) read(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.in, b); err != nil {
		s.fail(err)
	}
	s.sum.Write(b)
	return b
}

// ReadByte implements [io.ByteReader], for the lengths. An error stays in s.
func (s *summedReader) ReadByte() (byte, error) { return s.read(1)[0], nil }

func (s *summedReader) piece(most int) []byte {
	n, err := binary.ReadUvarint(s)
	if err != nil || n > uint64(most) {
		s.fail(ErrBackup)
		return nil
	}
	return s.read(int(n))
}

// end reads the checksum, behind which there is nothing.
func (s *summedReader) end(sum *[sha256.Size]byte) error {
	s.sum.Sum(sum[:0])
	if given := s.read(sha256.Size); s.err != nil || !bytes.Equal(given, sum[:]) {
		return cmp.Or(s.err, ErrBackup)
	}
	switch _, err := s.in.ReadByte(); {
	case err == nil:
		return ErrBackup
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}
