// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
)

// Conversation is a User-Interactive Authentication as the server has it.
type Conversation struct {
	// Name is its "session", and Request what its client has asked for, as the
	// server writes that down.
	Name, Request string
}

// savedSession is what Synapse 1.3.1, which keeps conversations in memory, logs
// of one that has begun or gone on.
var savedSession = regexp.MustCompile(`DEBUG synapse\.handlers\.auth: Saving session (\{[^\n]*?'id': '([A-Za-z]+)'[^\n]*)`)

// readSessions prints the conversations in the database of the newest.
const readSessions = `import json, pathlib, sqlite3, sys
db = sqlite3.connect(pathlib.Path(sys.argv[1]).as_uri() + "?mode=ro", uri=True)
rows = db.execute("SELECT session_id, clientdict FROM ui_auth_sessions")
print(json.dumps([{"Name": name, "Request": request} for name, request in rows]))`

// Conversations returns the conversations of the server's clients, each once, those
// of Synapse 1.3.1 only if their requests had more than "auth". It is for a test
// that shows that nobody has learned their names.
func (s *Server) Conversations(ctx context.Context) ([]Conversation, error) {
	var list []Conversation
	if s.env.Version != NewestVersion {
		seen := map[string]bool{}
		for _, m := range savedSession.FindAllStringSubmatch(s.Logs(), -1) {
			if !seen[m[2]] {
				seen[m[2]] = true
				list = append(list, Conversation{Name: m[2], Request: m[1]})
			}
		}
		return list, nil
	}
	out, err := s.env.Output(ctx, "-c", readSessions, filepath.Join(s.dir, databaseFile))
	if err == nil {
		err = json.Unmarshal([]byte(out), &list)
	}
	if err != nil {
		return nil, fmt.Errorf("read the conversations: %w", err)
	}
	return list, nil
}
