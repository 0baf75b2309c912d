// SPDX-License-Identifier: Apache-2.0

// Package outbox shows that a message which was promised is sent: over
// real SMTP servers that fail in every way they do, and by processes that are
// killed in the middle of it. It needs neither a homeserver nor Caddy.
package outbox
