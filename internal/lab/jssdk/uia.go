// SPDX-License-Identifier: Apache-2.0

package jssdk

import (
	"context"
	"encoding/json"
	"fmt"
)

// Auth stands, in the arguments of an [AuthRequest], where the auth dict goes.
// Without one, as in the first call, there is nothing in its place.
var Auth = map[string]bool{"$auth": true}

// AuthRequest is a call under User-Interactive Authentication.
type AuthRequest struct {
	// Method of the client, with [Auth] somewhere in Args.
	Method string `json:"method"`
	Args   []any  `json:"args"`
	// Email is the address that the user gives. It makes the SDK choose a flow
	// with an email stage; without, one that has none.
	Email string `json:"email,omitempty"`
	// RequestToken is the client's method that has a mail sent to Email, such
	// as requestRegisterEmailToken.
	RequestToken string `json:"requestToken,omitempty"`
	// NextLink is the link that goes with it. In it, {secret} and {session} stand for
	// those of the flow.
	NextLink string `json:"nextLink,omitempty"`
	// Resume goes on with what another client has begun, as the link of a mail leads
	// back to it.
	Resume *Resume `json:"resume,omitempty"`
}

// Resume is all that is known in another tab.
type Resume struct {
	SessionID    string `json:"sessionId"`
	ClientSecret string `json:"clientSecret"`
	EmailSID     string `json:"emailSid"`
}

// AuthState is where a flow has come to rest.
type AuthState struct {
	// Done says that the call went through, with Result.
	Done   bool            `json:"done"`
	Result json.RawMessage `json:"result"`
	// Stage is the one that the SDK waits for.
	Stage string `json:"stage"`
	// EmailSID is the validation session of the email stage.
	EmailSID string `json:"emailSid"`
	// Refused is the answer to the latest attempt, or nil if it went through.
	Refused *SDKError `json:"-"`
}

// AuthFlow is one run of the SDK's own InteractiveAuth, as the dialogue of a
// client drives it.
type AuthFlow struct {
	session *Session
	handle  string
}

// StartAuth makes the first attempt, and has the mail sent if the flow that
// the SDK chooses asks for it.
func (c *Client) StartAuth(ctx context.Context, req AuthRequest) (*AuthFlow, AuthState, error) {
	f := &AuthFlow{session: c.session, handle: c.session.handle("flow")}
	state, err := f.advance(ctx, "startFlow", c.handle, req)
	return f, state, err
}

// Poll makes the SDK try again, as clients do while the user reads the mail.
func (f *AuthFlow) Poll(ctx context.Context) (AuthState, error) { return f.advance(ctx, "pollFlow") }

// Submit answers the stage that the SDK waits for. The SDK adds the session.
func (f *AuthFlow) Submit(ctx context.Context, auth map[string]any) (AuthState, error) {
	return f.advance(ctx, "submitFlow", auth)
}

func (f *AuthFlow) advance(ctx context.Context, step string, args ...any) (AuthState, error) {
	raw, err := f.session.call(ctx, "", step, append([]any{f.handle}, args...)...)
	if err != nil {
		return AuthState{}, err
	}
	var state struct {
		AuthState
		Refused *wireError `json:"refused"`
	}
	if err := json.Unmarshal(raw, &state); err != nil {
		return AuthState{}, fmt.Errorf("%s: decode state: %w", step, err)
	}
	if state.Refused != nil {
		state.AuthState.Refused = state.Refused.sdk()
	}
	return state.AuthState, nil
}
