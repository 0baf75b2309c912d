// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

const (
	// keyFileTime bounds the look into a store, which may be a big one that has
	// no check record yet.
	keyFileTime = 2 * time.Minute
	// otherLooks is how long a store may be open for another process that is only
	// looking into it.
	otherLooks = 2 * time.Second
	// youngKey is the age of a key file that was made for the very store that is
	// being opened, by a process beside us or by one that died over it.
	youngKey = 10 * time.Minute
)

var (
	// ErrKeyFileMissing refuses to make a new key for what a former one has sealed.
	ErrKeyFileMissing = errors.New("the key file is missing, and the store is not empty: nothing in it can be read without that file")
	// ErrKeyFileOther refuses keys that are not those of the store.
	ErrKeyFileOther = errors.New("the key file is not the one with which the store was written last: what was written since cannot be read with this one")
)

// errNoStore refuses what a guest has opened.
var errNoStore = errors.New("it opened nothing, and gave no reason")

// layout is how all of us arrange what they store.
var layout = keycheck.Layout{Partitions: sealed.All(), Sealed: sealed.Awaited}

// notTogether says what to do about a key file and a store that are not for each
// other.
func notTogether(reason error, keyFile, name string) error {
	return fmt.Errorf("%w: bring the key file %s back from its backup (is its volume mounted?), "+
		"or move the store %s away to begin anew with nothing; neither was changed", reason, keyFile, name)
}

// KeyFile brings a key file and a store together, or refuses to: see package
// keycheck. Whoever refuses has changed neither.
type KeyFile struct {
	path string
	keys *keyring.Ring // nil: there is no key file
	// log makes loggers that outlive configurations.
	log    func(name string) *zap.Logger
	logger *zap.Logger
	now    func() time.Time
	// looked: others may be looking into the store as we have.
	looked bool
}

// keyFiles is held from reading a key file to using what was read: a reload must
// not put back the keys of before a rotation.
var keyFiles sync.Mutex

// WithKeyFile reads the key file, if there is one, and has it used. Nobody changes it
// meanwhile. Log makes loggers that outlive configurations.
func WithKeyFile(path string, log func(name string) *zap.Logger, use func(*KeyFile) error) error {
	keyFiles.Lock()
	defer keyFiles.Unlock()
	c, err := readKeyFile(path, log)
	if err != nil {
		return err
	}
	return use(c)
}

// CheckKeyFile refuses one that cannot be read.
func CheckKeyFile(path string) error {
	_, err := readKeyFile(path, func(string) *zap.Logger { return zap.NewNop() })
	return err
}

func readKeyFile(path string, log func(name string) *zap.Logger) (*KeyFile, error) {
	c := &KeyFile{path: path, log: log, logger: log("threepid.keys"), now: time.Now}
	var err error
	c.keys, err = keyring.Load(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key_file: %w; write the path of the right file, or bring it back from its backup", err)
	}
	return c, nil
}

// Open opens a store if the keys are for it, and makes the key file for one that
// is new.
func (c *KeyFile) Open(mod guest.Store, name string) (*SharedStore, error) {
	ctx, cancel := context.WithTimeout(context.Background(), keyFileTime)
	defer cancel()
	var opened store.Store
	open := func() (err error) {
		opened, err = c.openWith(ctx, mod, name)
		return err
	}
	err := Guarded(open)
	if errors.Is(err, ErrKeyFileMissing) && c.retake() {
		err = Guarded(open)
	}
	if errors.As(err, new(*panicError)) || errors.Is(err, errNoStore) {
		err = fmt.Errorf("module %T: %w", mod, err)
	}
	if err != nil {
		return nil, err
	}
	_, embedded := mod.(guest.Embedded)
	return newShared(opened, c.keys, embedded, c.log("threepid.store")), nil
}

// openWith is open with the key file of the last look.
func (c *KeyFile) openWith(ctx context.Context, mod guest.Store, name string) (store.Store, error) {
	err := c.peek(ctx, mod, name)
	if err != nil {
		return nil, err
	}
	var draft *keyring.Draft
	if c.keys == nil {
		if draft, err = keyring.Prepare(c.path); err != nil {
			return nil, fmt.Errorf("key file: %w", err)
		}
		defer draft.Discard()
	}
	opened, err := c.openPatiently(ctx, mod)
	if err != nil {
		return nil, err
	}
	if err := Guarded(func() error { return c.decideOpened(ctx, opened, name, draft) }); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

// retake looks for a key file that somebody else has made since, together with
// the store.
func (c *KeyFile) retake() bool {
	var err error
	c.keys, err = keyring.Load(c.path)
	return err == nil
}

// peek refuses before a store is opened, if it can be seen then.
func (c *KeyFile) peek(ctx context.Context, mod guest.Store, name string) (err error) {
	l, ok := mod.(guest.Embedded)
	if !ok {
		return nil
	}
	var reader guest.View
	err = Guarded(func() (err error) {
		reader, err = l.Look()
		return err
	})
	switch {
	case errors.Is(err, guest.ErrNone):
		return nil
	case errors.Is(err, guest.ErrNotClosed) && c.keys == nil:
		return notTogether(ErrKeyFileMissing, c.path, name) // something was done with it
	case errors.Is(err, guest.ErrNotClosed):
		c.looked = true // as others may have
		return nil
	case err != nil:
		return err
	}
	c.looked = true
	defer func() { err = errors.Join(err, reader.Close()) }()
	found, err := keycheck.Inspect(ctx, reader, c.keys, layout)
	if err != nil {
		return fmt.Errorf("look into store: %w", err)
	}
	return c.judge(keycheck.Decide(c.keys != nil, found.Contents), name)
}

// judge is the error of a verdict.
func (c *KeyFile) judge(v keycheck.Verdict, name string) error {
	if !v.Refused() {
		return nil
	}
	reason := ErrKeyFileOther
	if v == keycheck.RefuseMissing {
		reason = ErrKeyFileMissing
	}
	return notTogether(reason, c.path, name)
}

// openPatiently opens a store. Somebody else who starts at this moment may be
// looking into it, and will then find it in use.
func (c *KeyFile) openPatiently(ctx context.Context, mod guest.Store) (store.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, otherLooks)
	defer cancel()
	tick := time.NewTicker(otherLooks / 40)
	defer tick.Stop()
	for {
		var opened store.Store
		err := Guarded(func() (err error) {
			opened, err = mod.OpenStore(c.log("threepid.store"))
			return err
		})
		if err == nil && opened == nil {
			err = errNoStore
		}
		if !c.looked || !errors.Is(err, guest.ErrInUse) {
			return opened, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// decideOpened decides again, now that nobody else can change the store, and notes in
// it whose it is.
func (c *KeyFile) decideOpened(ctx context.Context, s store.Store, name string, draft *keyring.Draft) error {
	// A store may be anybody's, and its faults must not be blamed on the key file. One that
	// cannot be written at the moment, to a full disk say, is none.
	if err := store.SelfCheck(ctx, s, c.now()); errors.Is(err, store.ErrContract) {
		return fmt.Errorf("store %s: %w", name, err)
	}
	found, err := keycheck.Inspect(ctx, s, c.keys, layout)
	if err != nil {
		return fmt.Errorf("look into store: %w", err)
	}
	verdict := keycheck.Decide(c.keys != nil, found.Contents)
	if err := c.judge(verdict, name); err != nil {
		return err
	}
	made := false
	if verdict == keycheck.Create {
		if c.keys, made, err = draft.Place(); err != nil {
			return fmt.Errorf("key file: %w", err)
		}
	}
	begun := c.now()
	if verdict == keycheck.Adopt {
		begun = time.Time{} // nobody knows
	}
	before, err := c.claim(ctx, s, name, begun)
	if err != nil {
		return err
	}
	c.tell(verdict, found, before, made, name)
	return nil
}

// claim notes in a store that it is written with our keys.
func (c *KeyFile) claim(ctx context.Context, s store.Store, name string, begun time.Time) (keycheck.Record, error) {
	before, err := keycheck.Claim(ctx, s, c.keys, begun)
	if errors.Is(err, keycheck.ErrOther) {
		return before, notTogether(ErrKeyFileOther, c.path, name)
	}
	if err != nil {
		return before, fmt.Errorf("note the keys in the store: %w", err)
	}
	return before, nil
}

// Join checks the keys for a store that is open already.
func (c *KeyFile) Join(shared *SharedStore, name string) error {
	if c.keys == nil {
		return notTogether(ErrKeyFileMissing, c.path, name)
	}
	// What is stored is found by keyed hashes: with other keys every open
	// session would be lost, in silence. A file that has been rotated knows the
	// key in use.
	if !c.keys.Knows(shared.Keys) {
		return ErrChanged(name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), keyFileTime)
	defer cancel()
	if _, err := c.claim(ctx, shared, name, c.now()); err != nil {
		return err
	}
	shared.Keys.Replace(c.keys)
	return nil
}

// tell logs what an operator has to know of a start.
func (c *KeyFile) tell(v keycheck.Verdict, found keycheck.Found, before keycheck.Record, made bool, name string) {
	file, where := zap.String("key_file", c.path), zap.String("store", name)
	switch {
	case made:
		c.logger.Warn("a new key file was made: back it up now, apart from the store, "+
			"because without this file the store is worthless", file, where)
	case v == keycheck.Begin && c.old():
		c.logger.Warn("the store is new, but the key file is not: if there was a store with it, what that knew is missing "+
			"(limits, suppressions, bindings, messages that wait); is its volume mounted? Run: caddy threepid doctor", file, where)
	case v == keycheck.Adopt:
		c.logger.Info("the store of an earlier version is bound to the key file from now on", file, where)
	case v == keycheck.AdoptUnseen:
		c.logger.Warn("the store of an earlier version has nothing that shows whether it belongs to the key file; "+
			"it is taken for the one that does. Run: caddy threepid doctor", file, where)
	}
	if found.Closed > 0 {
		c.logger.Warn("the store has records that the key file cannot open: if a newer key file is in a backup, stop the server and "+
			"bring that one back. Run: caddy threepid doctor", file, where, zap.Int("records", found.Closed))
	}
	if lacks := before.Lacks(c.keys); len(lacks) > 0 {
		c.logger.Warn("the key file has lost keys with which the store was written; what they have sealed cannot be read. "+
			"Run: caddy threepid doctor", file, where, zap.Ints("keys", lacks))
	}
}

// old reports whether the key file was there long before the store.
func (c *KeyFile) old() bool {
	return slices.ContainsFunc(c.keys.Keys(), func(k keyring.KeyInfo) bool {
		return c.now().Sub(k.Since) > youngKey // also if it is not known
	})
}
