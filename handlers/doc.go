// SPDX-License-Identifier: Apache-2.0

// Package handlers is the HTTP of the module, in plain net/http.
//
// [Client] is the client-facing side, in front of the homeserver: one file per endpoint
// (requesttoken.go, completion.go, add.go, deactivate.go, submit.go, refuse.go,
// versions.go, login.go). Package bindings has those that have to do with identity
// servers, package pages what people see, and package identity is the homeserver-facing
// side: as much of an identity server as a homeserver needs to ask whether an address was
// validated.
//
// Neither knows an upstream address. Whatever concerns the homeserver goes
// through the next handler, so the reverse proxy behind keeps its balancing,
// health checks and retries. Requests that are not ours reach next with the
// original ResponseWriter.
//
// Below, package route says which paths are ours, package wire has what goes over HTTP and
// the value that stands for a request ([wire.Call]), package hsapi what we ask of the
// homeserver by ourselves, and package report what operators are told.
package handlers
