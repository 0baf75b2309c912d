// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/internal/drain"
)

// Store is a [store.Store] in a Badger database. Make one with [Open].
type Store struct {
	opts    Options
	db      *badger.DB
	running drain.Group

	queue queue
	// failing is set while commits fail, so that Ping tells of it.
	failing atomic.Bool

	// freeSpace is the function of this name, for tests to replace.
	freeSpace func(dir string) (int64, bool)

	// compacting is held by the one compaction that runs.
	compacting chan struct{}

	// stop ends the background goroutines, janitor first.
	stopJanitor   context.CancelFunc
	stopCommitter chan struct{}
	background    struct{ janitor, committer sync.WaitGroup }

	closeOnce sync.Once
	closeErr  error
}

var (
	_ store.Store        = (*Store)(nil)
	_ store.AsyncUpdater = (*Store)(nil)
)

// Open opens the database in opts.Dir, or creates it. A directory can be open
// once at a time; for one that is, the error is [ErrInUse].
func Open(opts Options) (*Store, error) {
	s, err := open(opts)
	if err != nil {
		return nil, err
	}
	s.start()
	return s, nil
}

// open is Open without the background: updates gather and are not committed.
func open(opts Options) (*Store, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	db, err := badger.Open(opts.badger())
	if err != nil {
		return nil, translateOpen(opts.Dir, err)
	}
	s := &Store{
		opts:          opts,
		db:            db,
		freeSpace:     freeSpace,
		compacting:    make(chan struct{}, 1),
		stopCommitter: make(chan struct{}),
	}
	s.queue.init(db)
	return s, nil
}

func (s *Store) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stopJanitor = cancel
	s.background.committer.Go(s.commitLoop)
	s.background.janitor.Go(func() { s.janitorLoop(ctx) })
}

// Ping implements [store.Store]. While the last commit has failed, it tries
// one of its own, so that a store that nobody writes to any more because it is
// unhealthy is found to have recovered.
func (s *Store) Ping(ctx context.Context) error {
	if !s.running.Enter() {
		return store.ErrClosed
	}
	defer s.running.Leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.checkSpace(); err != nil {
		return err
	}
	if !s.failing.Load() {
		return nil
	}
	return s.update(ctx, func(tx *writeTxn) error { return tx.put(probeKey, entry{}) })
}

// checkSpace refuses writing before the disk is full, see [Options].
func (s *Store) checkSpace() error {
	if s.opts.MinFreeSpace < 0 {
		return nil
	}
	if free, ok := s.freeSpace(s.opts.Dir); ok && free < s.opts.MinFreeSpace {
		return fmt.Errorf("write to badger store in %q with %d bytes free of at least %d: %w",
			s.opts.Dir, free, s.opts.MinFreeSpace, syscall.ENOSPC)
	}
	return nil
}

func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		// The janitor first: its compaction is an operation that closing
		// would wait for to its end.
		s.stopJanitor()
		s.background.janitor.Wait()
		s.running.Close()
		// An update whose context has ended may have left a batch behind. The
		// committer writes it before it stops.
		close(s.stopCommitter)
		s.background.committer.Wait()
		s.closeErr = translate("close badger store", s.db.Close())
	})
	return s.closeErr
}
