// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// buildTags are those of Caddy's own releases.
const buildTags = "nobadger,nomysql,nopgx"

// Root returns the repository's root folder.
func Root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// Build compiles the program, with the flags of a release so that its packages
// are compiled once for all, and returns its path.
func Build(ctx context.Context) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, "build", "stack", "caddy")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", buildTags, "-o", bin, "./cmd/caddy")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build caddy: %w\n%s", err, out)
	}
	return bin, nil
}

// Caddy is a running Caddy.
type Caddy struct {
	cmd  *exec.Cmd
	dir  string
	log  *logFile
	done chan struct{}
	once sync.Once
}

// logFile is where a process's output goes; reading it is safe at any time.
type logFile struct{ path string }

func (l *logFile) text() string {
	raw, err := os.ReadFile(l.path)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// StartCaddy runs a Caddyfile in dir, where Caddy also keeps its data, with
// some more environment, and returns when the ports accept connections.
func StartCaddy(ctx context.Context, bin, dir, caddyfile string, env []string, ports ...int) (*Caddy, error) {
	config := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, []byte(caddyfile), 0o600); err != nil {
		return nil, fmt.Errorf("write Caddyfile: %w", err)
	}
	c := &Caddy{dir: dir, log: &logFile{filepath.Join(dir, "caddy.log")}, done: make(chan struct{})}
	out, err := os.OpenFile(c.log.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer out.Close() // the process has its own copy
	c.cmd = exec.Command(bin, "run", "--config", config, "--adapter", "caddyfile")
	c.cmd.Dir = dir
	c.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+filepath.Join(dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(dir, "config"))
	c.cmd.Env = append(c.cmd.Env, env...)
	c.cmd.Stdout, c.cmd.Stderr = out, out
	dieWithParent(c.cmd)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start caddy: %w", err)
	}
	go func() {
		_ = c.cmd.Wait() // however it ended, the log says why
		close(c.done)
	}()
	for _, port := range ports {
		if err := c.await(ctx, port); err != nil {
			c.Stop()
			return nil, fmt.Errorf("start caddy: %w; its log:\n%s", err, c.Logs())
		}
	}
	return c, nil
}

// await waits until a port accepts connections.
func (c *Caddy) await(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-c.done:
			return errors.New("it exited")
		case <-ctx.Done():
			return fmt.Errorf("port %d: %w", port, ctx.Err())
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// CAFile is the root certificate of Caddy's internal authority, for the
// homeserver to trust.
func (c *Caddy) CAFile() string {
	return filepath.Join(c.dir, "data", "caddy", "pki", "authorities", "local", "root.crt")
}

// DataDir is where Caddy, and with it the module, keeps its data.
func (c *Caddy) DataDir() string { return filepath.Join(c.dir, "data", "caddy") }

// Logs returns what Caddy has logged.
func (c *Caddy) Logs() string { return c.log.text() }

// PID is the process.
func (c *Caddy) PID() int { return c.cmd.Process.Pid }

// Kill ends Caddy as a power cut would.
func (c *Caddy) Kill() {
	_ = c.cmd.Process.Kill() // it may have ended already
	<-c.done
}

// Stop ends Caddy in good order.
func (c *Caddy) Stop() {
	c.once.Do(func() {
		_ = c.cmd.Process.Signal(os.Interrupt) // it may have ended already
		select {
		case <-c.done:
		case <-time.After(time.Minute):
			c.Kill()
		}
	})
}
