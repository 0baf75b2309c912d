// SPDX-License-Identifier: Apache-2.0

package jssdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

const (
	passwordStage = "m.login.password"
	emailStage    = "m.login.email.identity"
)

// uiaServer is a homeserver that asks for the stages of one flow, in order. A
// mail is read at once when clicked says so.
type uiaServer struct {
	stages []string

	mu        sync.Mutex
	clicked   bool
	completed []string
	auths     []object // of every attempt, nil without one
	mails     []object
}

func (s *uiaServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var body object
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		respondJSON(w, 400, `{"errcode": "M_NOT_JSON"}`)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/requestToken") {
		s.mails = append(s.mails, body)
		if body["email"] == "taken@example.test" {
			respondJSON(w, 400, `{"errcode": "M_THREEPID_IN_USE", "error": "in use"}`)
			return
		}
		respondJSON(w, 200, `{"sid": "7"}`)
		return
	}
	auth, _ := body["auth"].(object)
	s.auths = append(s.auths, auth)
	if s.passes(auth) {
		s.completed = append(s.completed, s.stages[len(s.completed)])
	}
	if len(s.completed) == len(s.stages) {
		respondJSON(w, 200, `{"user_id": "@ada:example.test"}`)
		return
	}
	answer, _ := json.Marshal(object{
		"session": "uia", "flows": []object{{"stages": s.stages}}, "completed": s.completed,
	})
	respondJSON(w, 401, string(answer))
}

func (s *uiaServer) passes(auth object) bool {
	next := s.stages[len(s.completed)]
	creds, _ := auth["threepid_creds"].(object)
	switch {
	case auth["type"] != next || auth["session"] != "uia":
		return false
	case next == passwordStage:
		return auth["password"] == "right"
	case next == emailStage:
		return s.clicked && creds["sid"] == "7" && creds["client_secret"] == s.mails[0]["client_secret"]
	}
	return true
}

// dialogue is a flow that was started, and how that went.
type dialogue struct {
	server *uiaServer
	flow   *AuthFlow
	state  AuthState
	err    error
}

// begin starts a flow against a server of the stages.
func begin(t *testing.T, stages []string, email string) dialogue {
	t.Helper()
	server := &uiaServer{stages: stages}
	c, err := start(t, Options{}).NewClient(t.Context(), ClientOptions{BaseURL: serve(t, server.ServeHTTP).URL})
	if err != nil {
		t.Fatal(err)
	}
	flow, state, err := c.StartAuth(t.Context(), AuthRequest{
		Method: "registerRequest", Args: []any{object{"username": "ada", "auth": Auth}},
		Email: email, RequestToken: "requestRegisterEmailToken",
	})
	return dialogue{server, flow, state, err}
}

func TestAuthByMail(t *testing.T) {
	d := begin(t, []string{emailStage, "m.login.dummy"}, "ada@example.test")
	server, flow, state, err := d.server, d.flow, d.state, d.err
	if err != nil || state.Done || state.Stage != emailStage || state.EmailSID != "7" || state.Refused == nil {
		t.Fatalf("start: got %+v, %v; want it to wait for the mail", state, err)
	}
	state, err = flow.Poll(t.Context())
	if err != nil || state.Done || state.Refused == nil || state.Refused.HTTPStatus != 401 {
		t.Fatalf("before the click: got %+v, %v; want another 401", state, err)
	}
	server.mu.Lock()
	server.clicked = true
	server.mu.Unlock()
	state, err = flow.Poll(t.Context()) // passes the dummy stage by itself
	if err != nil || !state.Done || state.Refused != nil || string(state.Result) != `{"user_id":"@ada:example.test"}` {
		t.Fatalf("after the click: got %+v, %v; want it done", state, err)
	}
	if again, err := flow.Poll(t.Context()); err != nil || !again.Done {
		t.Errorf("when done: got %+v, %v", again, err)
	}
	if got, want := len(server.auths), 4; got != want {
		t.Errorf("got %d attempts, want %d", got, want)
	}
	if server.auths[0] != nil {
		t.Errorf("the first attempt has auth %v", server.auths[0])
	}
	if creds := fmt.Sprint(server.auths[1]["threepid_creds"]); strings.Contains(creds, "id_server") || len(server.mails) != 1 {
		t.Errorf("got creds %s and %d mails, want no identity server and one mail", creds, len(server.mails))
	}
}

func TestAuthByPassword(t *testing.T) {
	d := begin(t, []string{passwordStage}, "")
	server, flow, state, err := d.server, d.flow, d.state, d.err
	if err != nil || state.Done || state.Stage != passwordStage {
		t.Fatalf("start: got %+v, %v; want it to ask for the password", state, err)
	}
	state, err = flow.Submit(t.Context(), object{"type": passwordStage, "password": "wrong"})
	if err != nil || state.Done || state.Refused == nil {
		t.Fatalf("wrong password: got %+v, %v; want it refused", state, err)
	}
	state, err = flow.Submit(t.Context(), object{"type": passwordStage, "password": "right"})
	if err != nil || !state.Done {
		t.Fatalf("right password: got %+v, %v; want it done", state, err)
	}
	if got, want := len(server.auths), 3; got != want || len(server.mails) != 0 {
		t.Errorf("got %d attempts and %d mails, want %d and none", got, len(server.mails), want)
	}
}

func TestAuthFails(t *testing.T) {
	err := begin(t, []string{emailStage}, "taken@example.test").err
	var refusal *SDKError
	if !errors.As(err, &refusal) || refusal.Errcode != "M_THREEPID_IN_USE" {
		t.Errorf("address in use: got %v, want the server's answer", err)
	}
	err = begin(t, []string{emailStage}, "").err
	if !errors.As(err, &refusal) || refusal.Name != "NoAuthFlowFoundError" {
		t.Errorf("no flow without mail: got %v, want NoAuthFlowFoundError", err)
	}
	c, err := start(t, Options{}).NewClient(t.Context(), ClientOptions{BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.StartAuth(t.Context(), AuthRequest{Method: "noSuchMethod"}); !errors.Is(err, ErrUnknownMethod) {
		t.Errorf("unknown method: got %v, want ErrUnknownMethod", err)
	}
	lost := &AuthFlow{session: c.session, handle: "flow 99"}
	if _, err := lost.Poll(t.Context()); !errors.Is(err, ErrUnknownHandle) {
		t.Errorf("unknown flow: got %v, want ErrUnknownHandle", err)
	}
}
