// SPDX-License-Identifier: Apache-2.0

// Command conformance holds the list of requirements and the tests together.
//
// A test proves a requirement by its name: the leading segments of a test's or
// a subtest's name that look like an id are the rows it stands for.
//
//	TestR1_R3_R5_RequestTokenWithoutIDServer   proves R1, R3 and R5
//	TestE2E/R32_F39_reset                      proves R32 and F39
//
// The command reads docs/requirements.tsv (every requirement), docs/open.tsv
// (those that are knowingly not met yet, or only by half) and the output of
// `go test -json`, and renders docs/conformance.md from them. With -write it
// replaces that document; with -check it fails unless the committed document is
// exactly what this run proves, so that the document can neither promise a test
// that does not exist nor keep quiet about one that went missing.
//
// With -check it also holds docs/security.md to its word: the tables of that
// document are complete, and every test that it names ran and passed.
//
// Under CI=true it is strict: a skipped test is a failure. Elsewhere a machine
// may lack a part (no PyPI, no root); a proof that was skipped there is kept as
// the document has it, and said aloud.
package main
