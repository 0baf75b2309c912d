// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// savedSession is what Synapse 1.3.1, which keeps conversations in memory, logs
// of one that has begun or gone on.
var savedSession = regexp.MustCompile(`DEBUG synapse\.handlers\.auth: Saving session \{[^\n]*?'id': '([A-Za-z]+)'`)

// readSessions prints the conversations in the database of the newest.
const readSessions = `import pathlib, sqlite3, sys
db = sqlite3.connect(pathlib.Path(sys.argv[1]).as_uri() + "?mode=ro", uri=True)
for name, in db.execute("SELECT session_id FROM ui_auth_sessions"): print(name)`

// Conversations returns the names that the server has given the conversations
// (User-Interactive Authentication) of its clients, those of Synapse 1.3.1 only
// if their requests had more than "auth". They are for a test that shows that
// nobody has learned them.
func (s *Server) Conversations(ctx context.Context) ([]string, error) {
	var names []string
	if s.env.Version != NewestVersion {
		for _, m := range savedSession.FindAllStringSubmatch(s.Logs(), -1) {
			names = append(names, m[1])
		}
		return names, nil
	}
	out, err := s.env.Output(ctx, "-c", readSessions, filepath.Join(s.dir, databaseFile))
	if err != nil {
		return nil, fmt.Errorf("read the conversations: %w", err)
	}
	return strings.Fields(out), nil
}
