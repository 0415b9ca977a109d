// Package wasm holds the WebAssembly module of agentassert's core.
package wasm

import _ "embed" // for Module

// Module is the core as a WebAssembly module that imports nothing. What it exports, and how to call it,
// is in ABI.md. It is built from package core by cmd/wasmbuild, byte for byte the same each time, and
// must not be changed.
//
//go:embed agentassert.wasm
var Module []byte
