// SPDX-License-Identifier: Apache-2.0

// Package wire is what goes over HTTP between a client, us and the homeserver.
//
//   - JSON that is read in one way only (reading.go, lenient.go), the credentials in it
//     (creds.go), and bodies that are made anew of what was read (rebuild.go);
//   - Matrix errors, and the one place that renders them (errors.go);
//   - requests that are sent on, and answers that are kept (upstream.go, answerholder.go);
//   - how much of a body is read, and for how long it is waited (body.go).
package wire
