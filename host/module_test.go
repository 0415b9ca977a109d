package host_test

import (
	"encoding/binary"
	"slices"

	"github.com/agentassert/agentassert/core/wire"
)

// The opcodes of WebAssembly that the foreign modules are made of.
const (
	opUnreachable = 0x00
	opLoop        = 0x03
	opIf          = 0x04
	opEnd         = 0x0b
	opBr          = 0x0c
	opReturn      = 0x0f
	opCall        = 0x10
	opCallTable   = 0x11 // call_indirect
	opDrop        = 0x1a
	opLocalGet    = 0x20
	opGlobalGet   = 0x23
	opGlobalSet   = 0x24
	opI32Load8U   = 0x2d
	opI32Store8   = 0x3a
	opI32Const    = 0x41
	opI64Const    = 0x42
	opI32Eq       = 0x46
	opI32Add      = 0x6a
	opRefNull     = 0xd0
	opMore        = 0xfc
	opTableGrow   = 0x0f // after opMore

	typeI32     = 0x7f
	typeI64     = 0x7e
	typeFuncref = 0x70
	typeExtern  = 0x6f
	typeVoid    = 0x40
)

// Where the foreign modules have their two buffers.
const (
	responseAt = 512
	requestAt  = 1024
)

// The requests that a foreign module knows, each of one byte. To every other it
// answers with one byte: how many requests its instance has had.
const (
	requestCount      = "?"
	requestTrap       = "t"
	requestLoop       = "l"
	requestOutside    = "o" // answers with a buffer outside the memory
	requestWraps      = "w" // answers with a buffer that ends beyond 4 GiB
	requestEmpty      = "e" // answers with an empty buffer
	requestHuge       = "h" // answers with more than a message may have
	requestNotAnswers = "0" // answers with 0, which stands for no response
)

// foreign is a module that was written for a test. The zero value is a good one.
type foreign struct {
	// imports is the content of the import section.
	imports []byte
	// abiType, if not nil, takes the place of the type of agentassert_abi.
	abiType []byte
	// abi, alloc and call, if not nil, take the place of the bodies of functions.
	abi, alloc, call []byte
	// start is the body of a start function, if there is to be one.
	start []byte
	// more are the bodies of further functions, from moreFunctions on, with their
	// locals. They take nothing and return nothing.
	more [][]byte
	// tables and elements are the items of those sections, if there are to be any.
	tables, elements [][]byte
	// globals is how many there are that nothing uses.
	globals int
	// without is the export to leave out.
	without string
	// pages is the size of the memory, 32 pages if it is 0.
	pages uint64
}

// moreFunctions is the index of the first of foreign.more, where there is no start
// function.
const moreFunctions = 4

func (f foreign) module() []byte {
	abi, alloc, call, pages := f.abi, f.alloc, f.call, f.pages
	if abi == nil {
		abi = i32Const(wire.ABIVersion)
	}
	if alloc == nil {
		alloc = i32Const(requestAt)
	}
	if call == nil {
		call = answerRequests()
	}
	if pages == 0 {
		pages = 32
	}
	abiType := f.abiType
	if abiType == nil {
		abiType = funcType(nil, []byte{typeI32})
	}
	types := vector(
		abiType,
		funcType([]byte{typeI32}, []byte{typeI32}),
		funcType([]byte{typeI32}, nil),
		funcType([]byte{typeI32, typeI32}, []byte{typeI64}),
		funcType(nil, nil),
	)
	functions := [][]byte{{0}, {1}, {2}, {3}}
	bodies := [][]byte{body(abi), body(alloc), body(nil), body(call)}
	var start []byte
	if f.start != nil {
		start = section(8, []byte{byte(len(functions))})
		functions, bodies = append(functions, []byte{4}), append(bodies, body(f.start))
	}
	for _, b := range f.more {
		functions, bodies = append(functions, []byte{4}), append(bodies, sized(b))
	}
	var tables, elements []byte
	if f.tables != nil {
		tables = section(4, vector(f.tables...))
	}
	if f.elements != nil {
		elements = section(9, vector(f.elements...))
	}
	global := []byte{typeI32, 1, opI32Const, 0, opEnd}
	globals := slices.Repeat([][]byte{global}, 1+f.globals) // the first: the requests so far
	var exports [][]byte
	for i, name := range []string{"agentassert_abi", "agentassert_alloc", "agentassert_free", "agentassert_call"} {
		if name != f.without {
			exports = append(exports, slices.Concat(sized([]byte(name)), []byte{0, byte(i)}))
		}
	}
	if f.without != "memory" {
		exports = append(exports, slices.Concat(sized([]byte("memory")), []byte{2, 0}))
	}
	var imports []byte
	if f.imports != nil {
		imports = section(2, f.imports)
	}
	return slices.Concat(
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, types),
		imports,
		section(3, vector(functions...)),
		tables,
		section(5, vector(unsigned([]byte{0}, pages))), // memory
		section(6, vector(globals...)),
		section(7, vector(exports...)),
		start,
		elements,
		section(10, vector(bodies...)),
	)
}

// answerRequests is the body of agentassert_call.
func answerRequests() []byte {
	return slices.Concat(
		[]byte{opGlobalGet, 0, opI32Const, 1, opI32Add, opGlobalSet, 0},
		on(requestTrap, []byte{opUnreachable}),
		on(requestLoop, loopForever()),
		on(requestOutside, returnBuffer(0xffff_0000, 16)),
		on(requestWraps, returnBuffer(responseAt, 0xffff_ffff)),
		on(requestEmpty, returnBuffer(responseAt, 0)),
		on(requestHuge, returnBuffer(responseAt, wire.MaxMessage+1)),
		on(requestNotAnswers, returnBuffer(0, 0)),
		i32Const(responseAt), []byte{opGlobalGet, 0, opI32Store8, 0, 0},
		returnBuffer(responseAt, 1),
	)
}

// on runs code where the request begins with a letter.
func on(request string, code []byte) []byte {
	return slices.Concat(
		[]byte{opLocalGet, 0, opI32Load8U, 0, 0}, i32Const(int64(request[0])), []byte{opI32Eq},
		[]byte{opIf, typeVoid}, code, []byte{opEnd},
	)
}

func loopForever() []byte { return []byte{opLoop, typeVoid, opBr, 0, opEnd} }

func returnBuffer(ptr, size uint32) []byte {
	return append(signed([]byte{opI64Const}, int64(uint64(ptr)<<32|uint64(size))), opReturn)
}

func i32Const(n int64) []byte { return signed([]byte{opI32Const}, n) }

func body(code []byte) []byte { return sized(slices.Concat([]byte{0}, code, []byte{opEnd})) }

func funcType(params, results []byte) []byte {
	return slices.Concat([]byte{0x60}, sized(params), sized(results))
}

// imported is the content of an import section with one import.
func imported(description ...byte) []byte {
	return vector(slices.Concat(sized([]byte("env")), sized([]byte("thing")), description))
}

func section(id byte, content []byte) []byte { return append([]byte{id}, sized(content)...) }

func vector(items ...[]byte) []byte {
	return append(unsigned(nil, uint64(len(items))), slices.Concat(items...)...)
}

func sized(content []byte) []byte { return append(unsigned(nil, uint64(len(content))), content...) }

// unsigned appends n in LEB128.
func unsigned(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }

// signed appends n in signed LEB128.
func signed(b []byte, n int64) []byte {
	for n < -64 || n > 63 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n)&0x7f)
}
