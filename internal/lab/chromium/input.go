// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"context"
	"encoding/base64"
	"fmt"
)

// Mode is how a page is looked at.
type Mode struct {
	// Width and Height are the size of the window in CSS pixels.
	Width, Height int
	// Mobile is a phone: touch, and a viewport that the page may set.
	Mobile bool
	Dark   bool
	// NoScript turns JavaScript off.
	NoScript bool
	// Language is the reader's, as in Accept-Language.
	Language string
	// UserAgent is another name for the browser, or empty.
	UserAgent string
}

// Use sets the mode for the pages that are opened from now on.
func (t *Tab) Use(ctx context.Context, m Mode) error {
	scheme := "light"
	if m.Dark {
		scheme = "dark"
	}
	agent := m.UserAgent
	if agent == "" {
		var version struct{ UserAgent string }
		if err := t.browser.conn.call(ctx, "", "Browser.getVersion", nil, &version); err != nil {
			return err
		}
		agent = version.UserAgent
	}
	override := Params{"userAgent": agent}
	if m.Language != "" {
		override["acceptLanguage"] = m.Language
	}
	for _, step := range []struct {
		method string
		params Params
	}{
		{"Emulation.setDeviceMetricsOverride", Params{"width": m.Width, "height": m.Height, "deviceScaleFactor": 1, "mobile": m.Mobile}},
		{"Emulation.setTouchEmulationEnabled", Params{"enabled": m.Mobile}},
		{"Emulation.setEmulatedMedia", Params{"features": []Params{
			{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
		}}},
		{"Emulation.setScriptExecutionDisabled", Params{"value": m.NoScript}},
		{"Network.setUserAgentOverride", override},
	} {
		if err := t.Call(ctx, step.method, step.params, nil); err != nil {
			return err
		}
	}
	return nil
}

// Screenshot is what the window shows, as a PNG.
func (t *Tab) Screenshot(ctx context.Context) ([]byte, error) {
	var got struct{ Data string }
	if err := t.Call(ctx, "Page.captureScreenshot", Params{"format": "png"}, &got); err != nil {
		return nil, err
	}
	png, err := base64.StdEncoding.DecodeString(got.Data)
	if err != nil {
		return nil, fmt.Errorf("decode the screenshot: %w", err)
	}
	return png, nil
}

// node finds the first element for a selector. It does without JavaScript.
func (t *Tab) node(ctx context.Context, selector string) (int, error) {
	var document struct{ Root struct{ NodeID int } }
	if err := t.Call(ctx, "DOM.getDocument", Params{"depth": 0}, &document); err != nil {
		return 0, err
	}
	var found struct{ NodeID int }
	err := t.Call(ctx, "DOM.querySelector", Params{"nodeId": document.Root.NodeID, "selector": selector}, &found)
	if err != nil {
		return 0, err
	}
	if found.NodeID == 0 {
		return 0, fmt.Errorf("the page has no %q", selector)
	}
	return found.NodeID, nil
}

// Click presses the middle of an element with the mouse.
func (t *Tab) Click(ctx context.Context, selector string) error {
	node, err := t.node(ctx, selector)
	if err != nil {
		return err
	}
	if err := t.Call(ctx, "DOM.scrollIntoViewIfNeeded", Params{"nodeId": node}, nil); err != nil {
		return err
	}
	var box struct{ Model struct{ Content []float64 } }
	if err := t.Call(ctx, "DOM.getBoxModel", Params{"nodeId": node}, &box); err != nil {
		return err
	}
	quad := box.Model.Content
	if len(quad) != 8 {
		return fmt.Errorf("%q has no place on the page", selector)
	}
	x, y := (quad[0]+quad[4])/2, (quad[1]+quad[5])/2
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		err := t.Call(ctx, "Input.dispatchMouseEvent", Params{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// Type types text into what has the focus.
func (t *Tab) Type(ctx context.Context, text string) error {
	for _, r := range text {
		if err := t.Call(ctx, "Input.dispatchKeyEvent", Params{"type": "char", "text": string(r)}, nil); err != nil {
			return err
		}
	}
	return nil
}

// keys are the keys that a page is used with.
var keys = map[string]Params{
	"Tab":   {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
	"Enter": {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
	" ":     {"key": " ", "code": "Space", "windowsVirtualKeyCode": 32, "text": " "},
}

// Press presses a key: "Tab", "Enter" or " ".
func (t *Tab) Press(ctx context.Context, key string) error {
	stroke, ok := keys[key]
	if !ok {
		return fmt.Errorf("no key %q", key)
	}
	for _, kind := range []string{"keyDown", "keyUp"} {
		params := Params{"type": kind}
		for name, value := range stroke {
			if kind == "keyUp" && name == "text" {
				continue
			}
			params[name] = value
		}
		if err := t.Call(ctx, "Input.dispatchKeyEvent", params, nil); err != nil {
			return err
		}
	}
	return nil
}
