//go:build wasip1

// Command hostile is a module that imports nothing, and is anybody's: it answers what
// it was told to answer, so that a host shows what it does with that. Everything else it
// leaves to the core. It is built as the real guest is:
//
//	go run ./cmd/wasmbuild -guest ./wasm/guest/testdata/hostile -o FILE
//
// Besides the messages of the ABI it takes two of its own. In both, a text or a byte
// string is preceded by its length, 32 bits with the lowest first.
//
//   - 'o', and then pairs of a method and a response: obey. From now on the calls of a
//     method get its responses, in order, and after the last the core's again. The
//     response is empty, but for one byte.
//   - 'h': heard. The response is the requests since then, and one byte before them.
package main

import (
	"encoding/binary"
	"unsafe"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

var (
	guest   = core.NewGuest()
	buffers = make(map[uint32][]byte)
	// orders are the responses that are left of each method, heard the requests.
	orders map[string][][]byte
	heard  [][]byte
)

func init() { core.WarmUp() }

func main() {}

//go:wasmexport agentassert_abi
func abi() uint32 { return wire.ABIVersion }

//go:wasmexport agentassert_alloc
func alloc(n uint32) uint32 { return lend(make([]byte, n)) }

//go:wasmexport agentassert_free
func free(ptr uint32) { delete(buffers, ptr) }

//go:wasmexport agentassert_call
func call(ptr, n uint32) uint64 {
	request := append([]byte(nil), buffers[ptr][:n]...)
	response := answer(request)
	return uint64(lend(response))<<32 | uint64(len(response))
}

func answer(request []byte) []byte {
	switch request[0] {
	case 'o':
		obey(request[1:])
		return []byte{0}
	case 'h':
		response := []byte{0}
		for _, r := range heard {
			response = binary.LittleEndian.AppendUint32(response, uint32(len(r)))
			response = append(response, r...)
		}
		return response
	}
	heard = append(heard, request)
	var r wire.Request
	if wire.Decode(request, &r) == nil {
		if left := orders[r.Method]; len(left) > 0 {
			orders[r.Method] = left[1:]
			return left[0]
		}
	}
	return guest.Call(request)
}

func obey(b []byte) {
	orders, heard = make(map[string][][]byte), nil
	for len(b) > 0 {
		var method, response []byte
		method, b = take(b)
		response, b = take(b)
		orders[string(method)] = append(orders[string(method)], response)
	}
}

func take(b []byte) (taken, rest []byte) {
	n := 4 + binary.LittleEndian.Uint32(b)
	return b[4:n], b[n:]
}

func lend(b []byte) uint32 {
	ptr := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	buffers[ptr] = b
	return ptr
}
