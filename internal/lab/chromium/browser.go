// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// flags run the browser without a window, without its own traffic, and alike on
// every machine. Without a sandbox it runs as root and in containers; it only
// ever sees our own pages.
var flags = []string{
	"--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
	"--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
	"--disable-default-apps", "--disable-extensions", "--disable-sync", "--metrics-recording-only", "--mute-audio",
	"--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider",
	"--hide-scrollbars", "--force-color-profile=srgb", "--font-render-hinting=none", "--disable-lcd-text",
}

// closeGrace is how long the browser may take to end by itself.
const closeGrace = 30 * time.Second

// Browser is a running Chromium.
type Browser struct {
	conn    *conn
	cmd     *exec.Cmd
	profile string
	stderr  *tail
	exited  chan struct{}
	once    sync.Once
	ours    []*os.File
}

// Start runs the browser with a new profile, which Close removes.
func Start(ctx context.Context, env Env) (*Browser, error) {
	profile, err := os.MkdirTemp("", "threepid-chromium-")
	if err != nil {
		return nil, fmt.Errorf("make a profile: %w", err)
	}
	b := &Browser{profile: profile, stderr: &tail{}, exited: make(chan struct{})}
	if err := b.run(env); err != nil {
		return nil, errors.Join(fmt.Errorf("start the browser: %w", err), os.RemoveAll(profile))
	}
	if err := b.conn.call(ctx, "", "Browser.getVersion", nil, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("greet the browser: %w\n%s", err, b.stderr), b.Close()) //nolint:contextcheck // to end it needs a time of its own
	}
	return b, nil
}

func (b *Browser) run(env Env) error {
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return err
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		return errors.Join(err, theirIn.Close(), ourOut.Close())
	}
	// The browser outlives no caller's context, but Close.
	b.cmd = exec.Command(env.Program, append(flags, "--user-data-dir="+b.profile, "about:blank")...)
	b.cmd.Env = append(os.Environ(), env.Environ...)
	b.cmd.Env = append(b.cmd.Env, "HOME="+b.profile, "TZ=UTC", "LANGUAGE=en")
	b.cmd.ExtraFiles = []*os.File{theirIn, theirOut} // descriptors 3 and 4
	b.cmd.Stderr = b.stderr
	b.cmd.WaitDelay = time.Second
	err = b.cmd.Start()
	err = errors.Join(err, theirIn.Close(), theirOut.Close())
	if err != nil {
		return errors.Join(err, ourIn.Close(), ourOut.Close())
	}
	b.ours = []*os.File{ourOut, ourIn}
	b.conn = newConn(ourIn, ourOut)
	go func() {
		_ = b.cmd.Wait() // how it ended does not matter: callers see that it did
		close(b.exited)
	}()
	return nil
}

// Close ends the browser and removes its profile. It may be called again.
func (b *Browser) Close() error {
	var err error
	b.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		_ = b.conn.call(ctx, "", "Browser.close", nil, nil) // it may be gone already
		select {
		case <-b.exited:
		case <-ctx.Done():
			err = b.cmd.Process.Kill()
			<-b.exited
		}
		for _, f := range b.ours {
			err = errors.Join(err, f.Close())
		}
		err = errors.Join(err, b.removeProfile())
	})
	return err
}

// removeProfile tries again for a moment: the browser's helpers may still
// write while they end.
func (b *Browser) removeProfile() error {
	var err error
	for range 20 {
		if err = os.RemoveAll(b.profile); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// tail keeps the end of what the browser complains about.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	const keep = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if extra := t.buf.Len() - keep; extra > 0 {
		t.buf.Next(extra)
	}
	return len(p), nil
}

// String returns what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
