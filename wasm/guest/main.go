//go:build wasip1

// Command guest is the main package of the WebAssembly module: a thin shell around package core,
// which gives the host four functions, described in wasm/ABI.md, and holds the buffers that pass
// between the two sides.
//
// It only builds for GOOS=wasip1 GOARCH=wasm with -buildmode=c-shared, and is built by cmd/wasmbuild,
// which also runs init, takes what memory looks like afterwards into the module, and cuts the module
// off from WASI. Nothing here may need the outside world: there is no clock, no randomness and no
// standard error.
package main

import (
	"unsafe"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// guest carries what the core remembers between calls, such as expanded keys.
var guest = core.NewGuest()

// buffers holds every buffer that the host may still use, by its address in linear memory. It keeps
// them from being collected; the collector never moves them.
var buffers = make(map[uint32][]byte)

// init fills the tables of the curve, which cmd/wasmbuild makes part of the module: so no instance
// has to compute them again.
func init() {
	core.WarmUp()
}

// main is what the linker asks for. Nobody calls it in a c-shared build.
func main() {}

// abi returns the version of the ABI, which the host checks before anything else.
//
//go:wasmexport agentassert_abi
func abi() uint32 {
	return wire.ABIVersion
}

// alloc returns the address of a zeroed buffer of n bytes, which stays where it is until free. It
// returns 0 when n is 0 or more than [wire.MaxMessage].
//
//go:wasmexport agentassert_alloc
func alloc(n uint32) uint32 {
	if n == 0 || n > wire.MaxMessage {
		return 0
	}
	return lend(make([]byte, n))
}

// free overwrites the buffer at ptr with zeroes, for it may have held secrets, and lets go of it. It
// does nothing when there is no such buffer.
//
//go:wasmexport agentassert_free
func free(ptr uint32) {
	b := buffers[ptr]
	clear(b[:cap(b)])
	delete(buffers, ptr)
}

// call handles the request in the first n bytes of the buffer at ptr, which came from alloc. It
// returns the address of the response in the upper 32 bits, and its length in the lower; the host
// frees the response, and the request. A buffer that does not exist or is shorter than n counts as an
// empty request, which the core answers with an error. The result is 0 when there is no response.
//
//go:wasmexport agentassert_call
func call(ptr, n uint32) uint64 {
	var request []byte
	if b := buffers[ptr]; uint64(n) <= uint64(len(b)) {
		request = b[:n:n]
	}
	response := guest.Call(request)
	if len(response) == 0 {
		return 0
	}
	return uint64(lend(response))<<32 | uint64(len(response))
}

// lend makes b, which must not be empty, available to the host, and returns its address. Addresses
// fit in 32 bits: linear memory is no larger.
func lend(b []byte) uint32 {
	ptr := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	buffers[ptr] = b
	return ptr
}
