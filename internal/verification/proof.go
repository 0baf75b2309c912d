// SPDX-License-Identifier: Apache-2.0

package verification

// Proof answers a nonce as only a server with the same keys can. It shows that
// a public address leads here.
func (s *Service) Proof(nonce string) string { return s.keys.HashText("probe", nonce) }
