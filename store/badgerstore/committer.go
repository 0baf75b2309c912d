// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
)

// commitLoop commits what gathers until the store is closed, and then what is
// left. While it waits for the disk, the next batch gathers.
func (s *Store) commitLoop() {
	for {
		select {
		case <-s.queue.kick:
			s.drain()
		case <-s.stopCommitter:
			s.drain()
			return
		}
	}
}

// drain commits batches until there are none.
func (s *Store) drain() {
	var err error
	for {
		b := s.queue.advance(err)
		if b == nil {
			return
		}
		err = s.commit(b)
		s.observe(err)
	}
}

// commit writes a batch as one synced transaction.
func (s *Store) commit(b *batch) error {
	if err := s.checkSpace(); err != nil {
		return err
	}
	return translate("commit to badger store", s.db.Update(func(txn *badger.Txn) error {
		for key, e := range b.writes {
			if err := set(txn, key, e); err != nil {
				return err
			}
		}
		return nil
	}))
}

func set(txn *badger.Txn, key string, e entry) error {
	if e.raw == nil {
		return txn.Delete([]byte(key))
	}
	be := badger.NewEntry([]byte(key), e.raw)
	be.ExpiresAt = e.ttl
	return txn.SetEntry(be)
}

// observe remembers and logs when commits begin to fail and when they recover,
// not every failure: a full disk would fill the log too.
func (s *Store) observe(err error) {
	if was := s.failing.Swap(err != nil); was == (err != nil) {
		return
	}
	if err != nil {
		s.opts.Logger.Error("store cannot write", zap.Error(err))
	} else {
		s.opts.Logger.Info("store can write again")
	}
}
