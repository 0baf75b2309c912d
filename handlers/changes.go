// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// changes lists the addresses that an account has got by this request.
func (j *completion) changes(answer *wire.Answer, outcome verification.Outcome) []Change {
	if outcome != verification.Completed {
		return nil
	}
	var change Change
	switch j.route.Purpose {
	case verification.Add:
		change.Action = "added"
	case verification.Register:
		change.Action = "registered"
	default:
		return nil // an address was used, and none was changed
	}
	var body struct {
		UserID string `json:"user_id"`
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &body) // it is not in every answer
	if j.who != nil {
		body.UserID = j.who.User
	}
	if body.UserID != "" {
		change.User = j.client.svc.Pseudonym(body.UserID)
	}
	var list []Change
	for i, a := range j.aliases {
		if !a.Live || (j.stages[i] == "") != (j.route.Purpose == verification.Add) {
			continue
		}
		change.Medium, change.Address = a.Medium, j.client.svc.Pseudonym(a.Address)
		list = append(list, change)
	}
	return list
}
