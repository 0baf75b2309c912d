// SPDX-License-Identifier: Apache-2.0

package feedback

import "strings"

// SealedEntry reports whether the key is that of a suppression, which is a
// sealed record.
func SealedEntry(key string) bool { return strings.HasPrefix(key, suppressionPrefix) }
