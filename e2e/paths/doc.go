// SPDX-License-Identifier: Apache-2.0

// Package paths compares how paths are read: by our router, by Caddy's matchers
// and by the router of a real Synapse. A path that we pass on as none of ours
// and that one of the others takes for a path of ours would be a way around us.
//
// Synapse's router runs in the real Python, as a child that is asked path by path
// (router.py).
package paths
