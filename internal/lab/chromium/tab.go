// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// Params are the parameters of a call.
type Params map[string]any

// Tab is one page in a profile of its own: no cookie and no cache is shared.
type Tab struct {
	browser *Browser
	session string
	target  string
	profile string

	mu       sync.Mutex
	loaded   chan struct{} // closed by the next load
	status   int
	headers  map[string]string
	problems []string
}

// NewTab opens an empty page.
func (b *Browser) NewTab(ctx context.Context) (*Tab, error) {
	t := &Tab{browser: b, loaded: make(chan struct{})}
	var profile struct{ BrowserContextID string }
	if err := b.conn.call(ctx, "", "Target.createBrowserContext", Params{"disposeOnDetach": true}, &profile); err != nil {
		return nil, err
	}
	t.profile = profile.BrowserContextID
	var target struct{ TargetID string }
	err := b.conn.call(ctx, "", "Target.createTarget", Params{"url": "about:blank", "browserContextId": t.profile}, &target)
	if err != nil {
		return nil, err
	}
	t.target = target.TargetID
	var attached struct{ SessionID string }
	err = b.conn.call(ctx, "", "Target.attachToTarget", Params{"targetId": t.target, "flatten": true}, &attached)
	if err != nil {
		return nil, err
	}
	t.session = attached.SessionID
	b.conn.listen(t.session, t.event)
	for _, domain := range []string{"Page", "Network", "Log", "DOM"} {
		if err := t.Call(ctx, domain+".enable", nil, nil); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Close closes the page and forgets its profile.
func (t *Tab) Close(ctx context.Context) error {
	t.browser.conn.listen(t.session, nil)
	return t.browser.conn.call(ctx, "", "Target.disposeBrowserContext", Params{"browserContextId": t.profile}, nil)
}

// Call calls any method of the DevTools protocol for this page.
func (t *Tab) Call(ctx context.Context, method string, params Params, result any) error {
	var p any
	if params != nil {
		p = params
	}
	return t.browser.conn.call(ctx, t.session, method, p, result)
}

// event notes what the browser tells about the page.
func (t *Tab) event(m message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch m.Method {
	case "Page.loadEventFired":
		close(t.loaded)
		t.loaded = make(chan struct{})
	case "Page.frameNavigated":
		var e struct{ Type string }
		if json.Unmarshal(m.Params, &e) == nil && e.Type == "BackForwardCacheRestore" { // it does not load again
			close(t.loaded)
			t.loaded = make(chan struct{})
		}
	case "Network.responseReceived":
		var e struct {
			Type     string
			Response struct {
				Status  int
				Headers map[string]string
			}
		}
		if json.Unmarshal(m.Params, &e) == nil && e.Type == "Document" {
			t.status, t.headers = e.Response.Status, e.Response.Headers
		}
	case "Log.entryAdded":
		var e struct {
			Entry struct{ Source, Level, Text string }
		}
		// That the page itself has a status of 4xx is no problem of the page.
		if json.Unmarshal(m.Params, &e) == nil && (e.Entry.Level == "error" || e.Entry.Level == "warning") && e.Entry.Source != "network" {
			t.problems = append(t.problems, e.Entry.Source+": "+e.Entry.Text)
		}
	case "Page.javascriptDialogOpening":
		t.problems = append(t.problems, "the page opened a dialog")
	}
}

// Status returns the HTTP status of the page, and one of its headers.
func (t *Tab) Status(header string) (status int, value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status, t.headers[header]
}

// Problems returns what the browser had to complain about since the last call:
// breaches of the Content-Security-Policy above all.
func (t *Tab) Problems() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.problems
	t.problems = nil
	return list
}

// Navigate opens an address and waits until it is loaded.
func (t *Tab) Navigate(ctx context.Context, url string) error {
	return t.Loading(ctx, func() error {
		var got struct{ ErrorText string }
		if err := t.Call(ctx, "Page.navigate", Params{"url": url}, &got); err != nil {
			return err
		}
		if got.ErrorText != "" {
			return fmt.Errorf("open %s: %s", url, got.ErrorText)
		}
		return nil
	})
}

// Loading does something that loads a page and waits until that is done.
func (t *Tab) Loading(ctx context.Context, act func() error) error {
	t.mu.Lock()
	loaded := t.loaded
	t.mu.Unlock()
	if err := act(); err != nil {
		return err
	}
	select {
	case <-loaded:
		return nil
	case <-t.browser.conn.ended:
		return ErrEnded
	case <-ctx.Done():
		return fmt.Errorf("wait for the page: %w", ctx.Err())
	}
}

// Go goes back or forward in the history by some steps; by 0 it reloads the page.
func (t *Tab) Go(ctx context.Context, steps int) error {
	if steps == 0 {
		return t.Loading(ctx, func() error { return t.Call(ctx, "Page.reload", nil, nil) })
	}
	var history struct {
		CurrentIndex int
		Entries      []struct{ ID int }
	}
	if err := t.Call(ctx, "Page.getNavigationHistory", nil, &history); err != nil {
		return err
	}
	at := history.CurrentIndex + steps
	if at < 0 || at >= len(history.Entries) {
		return fmt.Errorf("the history has %d pages, and none at %d", len(history.Entries), at)
	}
	return t.Loading(ctx, func() error {
		return t.Call(ctx, "Page.navigateToHistoryEntry", Params{"entryId": history.Entries[at].ID}, nil)
	})
}

// Evaluate runs an expression in the page, waits for it if it is a promise, and
// decodes its value into result, which may be nil.
func (t *Tab) Evaluate(ctx context.Context, expression string, result any) error {
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := t.Call(ctx, "Runtime.evaluate", Params{"expression": expression, "awaitPromise": true, "returnByValue": true}, &got)
	if err != nil {
		return err
	}
	if e := got.ExceptionDetails; e != nil {
		return errors.New("evaluate: " + e.Text + " " + e.Exception.Description)
	}
	if result == nil || got.Result.Value == nil {
		return nil
	}
	return json.Unmarshal(got.Result.Value, result)
}
