package main

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Section identifiers (WebAssembly core specification, "Binary Format", "Sections").
const (
	sectionCustom   = 0
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionTable    = 4
	sectionMemory   = 5
	sectionGlobal   = 6
	sectionExport   = 7
	sectionStart    = 8
	sectionElement  = 9
	sectionCode     = 10
	sectionData     = 11
)

// Value types ("Types").
const (
	typeI32 = 0x7f
	typeI64 = 0x7e
	typeF32 = 0x7d
	typeF64 = 0x7c
)

// What an export refers to ("Export Section").
const (
	externFunc   = 0
	externTable  = 1
	externMemory = 2
	externGlobal = 3
)

// Opcodes ("Instructions").
const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opLocalGet     = 0x20
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opI32Load      = 0x28 // the first of the loads and stores
	opI32Store     = 0x36
	opI64Store     = 0x37
	opI64Store32   = 0x3e // the last of the loads and stores
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32Eqz       = 0x45 // the first of the comparisons, the arithmetic and the conversions
	opI32Sub       = 0x6b
	opI64Add       = 0x7c
	opI64Extend32S = 0xc4 // the last of the comparisons, the arithmetic and the conversions
	opPrefixed     = 0xfc // one of these follows:

	subI64TruncSatF64U = 7 // the last of the saturating conversions
	subMemoryCopy      = 10
	subMemoryFill      = 11

	blockEmpty = 0x40 // the type of a block that takes nothing and leaves nothing
)

// header is the magic number and the version that every module begins with ("Modules").
const header = "\x00asm\x01\x00\x00\x00"

// pageSize is the unit of memory sizes, in bytes ("Memory Instances").
const pageSize = 64 << 10

// module is a WebAssembly module as the Go linker writes it, taken apart as far as wasmbuild has to
// change it. Tables, element segments and the bodies of functions stay as they are, uninterpreted. What
// Go's linker never writes is refused by parseModule, so that nothing gets lost: imports that are not
// functions, several memories, shared or 64-bit memories, passive data segments, tags.
//
// The slices point into the bytes that were parsed.
type module struct {
	types     []funcType
	imports   []funcImport
	functions []uint32 // type indices of the module's own functions
	stubs     int      // how many of those, the first, took the places of imports
	tables    []byte   // content of the table section; nil: none
	memory    *limits  // nil: none
	globals   []global
	exports   []export
	start     *uint32 // function index; nil: none
	elements  []byte  // content of the element section; nil: none
	code      [][]byte
	data      []segment
	customs   []custom // wherever they were, they are written last
}

// funcType is the type of a function; its fields hold value types.
type funcType struct {
	params, results []byte
}

// funcImport is an imported function. Imported functions come first in the index space of functions.
type funcImport struct {
	module, name string
	typ          uint32 // type index
}

// limits is the size of a memory, in pages.
type limits struct {
	min uint32
	max *uint32 // nil: as much as there is
}

// global is a global variable, or a constant.
type global struct {
	typ     byte // value type
	mutable bool
	init    []byte // a constant expression, with its end
}

// export gives a name to a function, a table, a memory or a global.
type export struct {
	name  string
	kind  byte // one of the extern constants
	index uint32
}

// segment is an active data segment: what memory holds at offset when the module is instantiated.
type segment struct {
	offset uint32
	bytes  []byte
}

// custom is a custom section: it has no meaning to the module itself.
type custom struct {
	name    string
	content []byte
}

// parseModule takes a module apart. It checks the structure, not the meaning: indices may point
// nowhere, and code is not looked at. The memory it takes is at most some 25 times len(b).
func parseModule(b []byte) (*module, error) {
	if len(b) < len(header) || string(b[:len(header)]) != header {
		return nil, errors.New("not a WebAssembly module of version 1")
	}
	m := new(module)
	r := &reader{b: b, pos: len(header)}
	last := byte(sectionCustom)
	for r.pos < len(r.b) {
		at := r.pos
		id := r.byte()
		size := r.u32()
		content := r.take(size)
		if r.err != nil {
			return nil, r.err
		}
		// The content is read in place, so that errors name offsets in the file.
		s := &reader{b: r.b[:r.pos], pos: r.pos - len(content)}
		if id != sectionCustom {
			if id <= last {
				return nil, fmt.Errorf("offset %#x: section %d comes twice, or after section %d", at, id, last)
			}
			last = id
		}
		m.readSection(id, s)
		if s.err == nil && s.pos != len(s.b) {
			s.failf("section %d has %d bytes too many", id, len(s.b)-s.pos)
		}
		if s.err != nil {
			return nil, s.err
		}
	}
	if len(m.functions) != len(m.code) {
		return nil, fmt.Errorf("%d functions, but %d bodies", len(m.functions), len(m.code))
	}
	return m, nil
}

// readSection reads the content of one section, all that is left in r.
func (m *module) readSection(id byte, r *reader) {
	switch id {
	case sectionCustom:
		m.customs = append(m.customs, custom{name: r.name(), content: r.rest()})
	case sectionType:
		m.types = readVector(r, 3, func() funcType {
			if form := r.byte(); form != 0x60 {
				r.failf("type %#x is not that of a function", form)
			}
			return funcType{params: r.valueTypes(), results: r.valueTypes()}
		})
	case sectionImport:
		m.imports = readVector(r, 4, func() funcImport {
			i := funcImport{module: r.name(), name: r.name()}
			if kind := r.byte(); kind != externFunc {
				r.failf("import %s.%s is not a function", i.module, i.name)
			}
			i.typ = r.u32()
			return i
		})
	case sectionFunction:
		m.functions = readVector(r, 1, r.u32)
	case sectionTable:
		m.tables = r.rest()
	case sectionMemory:
		memories := readVector(r, 2, r.limits)
		if len(memories) > 1 {
			r.failf("%d memories; only one is supported", len(memories))
		}
		if len(memories) == 1 {
			m.memory = &memories[0]
		}
	case sectionGlobal:
		m.globals = readVector(r, 4, r.global)
	case sectionExport:
		m.exports = readVector(r, 3, func() export {
			return export{name: r.name(), kind: r.byte(), index: r.u32()}
		})
	case sectionStart:
		start := r.u32()
		m.start = &start
	case sectionElement:
		m.elements = r.rest()
	case sectionCode:
		m.code = readVector(r, 1, func() []byte { return r.take(r.u32()) })
	case sectionData:
		m.data = readVector(r, 5, r.segment)
	default:
		// Among them the data count section, 12, and the tag section, 13, of later versions.
		r.failf("section %d is not supported", id)
	}
}

// encode writes the module, in the one way that this program writes it: all integers are as short as
// they can be, and empty sections are left out.
func (m *module) encode() []byte {
	var size int
	for _, c := range m.code {
		size += len(c) + 5
	}
	for _, d := range m.data {
		size += len(d.bytes) + 12
	}
	b := append(make([]byte, 0, size+1<<16), header...)
	b = appendVectorSection(b, sectionType, m.types, func(b []byte, t funcType) []byte {
		b = append(b, 0x60)
		b = appendBytes(b, t.params)
		return appendBytes(b, t.results)
	})
	b = appendVectorSection(b, sectionImport, m.imports, func(b []byte, i funcImport) []byte {
		b = appendBytes(b, i.module)
		b = appendBytes(b, i.name)
		return appendUnsigned(append(b, externFunc), uint64(i.typ))
	})
	b = appendVectorSection(b, sectionFunction, m.functions, func(b []byte, typ uint32) []byte {
		return appendUnsigned(b, uint64(typ))
	})
	if m.tables != nil {
		b = appendSection(b, sectionTable, m.tables)
	}
	if m.memory != nil {
		b = appendVectorSection(b, sectionMemory, []limits{*m.memory}, func(b []byte, l limits) []byte {
			if l.max == nil {
				return appendUnsigned(append(b, 0x00), uint64(l.min))
			}
			b = appendUnsigned(append(b, 0x01), uint64(l.min))
			return appendUnsigned(b, uint64(*l.max))
		})
	}
	b = appendVectorSection(b, sectionGlobal, m.globals, func(b []byte, g global) []byte {
		b = append(b, g.typ, 0)
		if g.mutable {
			b[len(b)-1] = 1
		}
		return append(b, g.init...)
	})
	b = appendVectorSection(b, sectionExport, m.exports, func(b []byte, e export) []byte {
		b = appendBytes(b, e.name)
		return appendUnsigned(append(b, e.kind), uint64(e.index))
	})
	if m.start != nil {
		b = appendSection(b, sectionStart, appendUnsigned(nil, uint64(*m.start)))
	}
	if m.elements != nil {
		b = appendSection(b, sectionElement, m.elements)
	}
	b = appendVectorSection(b, sectionCode, m.code, appendBytes[[]byte])
	b = appendVectorSection(b, sectionData, m.data, func(b []byte, d segment) []byte {
		b = append(b, 0x00) // active, in memory 0
		b = append(b, constI32(int32(d.offset))...)
		return appendBytes(b, d.bytes)
	})
	for _, c := range m.customs {
		b = appendSection(b, sectionCustom, append(appendBytes(nil, c.name), c.content...))
	}
	return b
}

// goVersion returns the version of the Go toolchain that built the module, such as "go1.26.8", as
// recorded in the "producers" section, or "" when there is none. The section's format is in the tool
// conventions of WebAssembly, ProducersSection.md.
func (m *module) goVersion() string {
	for _, c := range m.customs {
		if c.name != "producers" {
			continue
		}
		r := &reader{b: c.content}
		var version string
		readVector(r, 2, func() struct{} {
			field := r.name()
			readVector(r, 2, func() struct{} {
				value := r.name()
				v := r.name()
				if field == "language" && value == "Go" {
					version = v
				}
				return struct{}{}
			})
			return struct{}{}
		})
		if r.err == nil {
			return version
		}
	}
	return ""
}

// constI32 and constI64 return a constant expression of that value.
func constI32(v int32) []byte {
	return append(appendSigned([]byte{opI32Const}, int64(v)), opEnd)
}

func constI64(v int64) []byte {
	return append(appendSigned([]byte{opI64Const}, v), opEnd)
}

// appendSection appends a section with that content.
func appendSection(b []byte, id byte, content []byte) []byte {
	return appendBytes(append(b, id), content)
}

// appendVectorSection appends a section that is a vector of items, or nothing when there are none.
func appendVectorSection[T any](b []byte, id byte, items []T, appendItem func([]byte, T) []byte) []byte {
	if len(items) == 0 {
		return b
	}
	content := appendUnsigned(nil, uint64(len(items)))
	for _, item := range items {
		content = appendItem(content, item)
	}
	return appendSection(b, id, content)
}

// appendBytes appends the length of s and then s: a name, a vector of bytes, a function's body.
func appendBytes[S []byte | string](b []byte, s S) []byte {
	return append(appendUnsigned(b, uint64(len(s))), s...)
}

// appendUnsigned appends v in unsigned LEB128 ("Values", "Integers").
func appendUnsigned(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// appendSigned appends v in signed LEB128 ("Values", "Integers").
func appendSigned(b []byte, v int64) []byte {
	for v < -0x40 || v >= 0x40 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}

// reader reads a module. After the first failure it returns zero values, and err says what was wrong,
// and where.
type reader struct {
	b   []byte
	pos int
	err error
}

// failf records a failure, unless there was one before.
func (r *reader) failf(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("offset %#x: %s", r.pos, fmt.Sprintf(format, args...))
		r.pos = len(r.b)
	}
}

// take returns the next n bytes.
func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.pos) {
		r.failf("%d bytes expected, %d left", n, len(r.b)-r.pos)
		return nil
	}
	s := r.b[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return s
}

// rest returns all that is left. It is not nil, even when it is empty.
func (r *reader) rest() []byte {
	s := r.b[r.pos:len(r.b):len(r.b)]
	r.pos = len(r.b)
	return s
}

func (r *reader) byte() byte {
	if s := r.take(1); len(s) == 1 {
		return s[0]
	}
	return 0
}

// u32 reads an unsigned integer of 32 bits in LEB128: at most 5 bytes, the bits beyond 32 zero.
func (r *reader) u32() uint32 {
	var v uint32
	for shift := 0; ; shift += 7 {
		c := r.byte()
		if shift == 28 && c > 0x0f {
			r.failf("integer too large")
		}
		v |= uint32(c&0x7f) << shift
		if r.err != nil {
			return 0
		}
		if c < 0x80 {
			return v
		}
	}
}

// signed reads a signed integer of 32 or 64 bits in LEB128: at most 5 or 10 bytes, the bits beyond
// copies of the sign.
func (r *reader) signed(bits int) int64 {
	var v int64
	for shift := 0; ; shift += 7 {
		c := r.byte()
		v |= int64(c&0x7f) << shift
		if left := bits - shift; left < 7 {
			// Of this last byte's 7 bits, only left belong to the integer.
			if ext := int8(c<<1) >> left; c >= 0x80 || ext != 0 && ext != -1 {
				r.failf("integer too large")
			}
		}
		if r.err != nil {
			return 0
		}
		if c < 0x80 {
			if shift += 7; shift < 64 && c&0x40 != 0 {
				v |= -1 << shift
			}
			return v
		}
	}
}

func (r *reader) name() string {
	s := r.take(r.u32())
	if !utf8.Valid(s) {
		r.failf("a name is not UTF-8")
	}
	return string(s)
}

func (r *reader) valueTypes() []byte {
	return r.take(r.u32())
}

func (r *reader) limits() limits {
	switch flags := r.byte(); flags {
	case 0x00:
		return limits{min: r.u32()}
	case 0x01:
		l := limits{min: r.u32()}
		limit := r.u32()
		l.max = &limit
		return l
	default:
		r.failf("memories of kind %#x are not supported", flags)
		return limits{}
	}
}

func (r *reader) global() global {
	g := global{typ: r.byte()}
	switch r.byte() {
	case 0:
	case 1:
		g.mutable = true
	default:
		r.failf("mutability must be 0 or 1")
	}
	start := r.pos
	switch op := r.byte(); op {
	case opI32Const:
		r.signed(32)
	case opI64Const:
		r.signed(64)
	case opF32Const:
		r.take(4)
	case opF64Const:
		r.take(8)
	default:
		r.failf("globals that begin as %#x are not supported", op)
	}
	r.end()
	g.init = r.b[start:r.pos:r.pos]
	return g
}

func (r *reader) segment() segment {
	if kind := r.u32(); kind != 0 {
		r.failf("data segments of kind %d are not supported", kind)
	}
	if op := r.byte(); op != opI32Const {
		r.failf("data segments at %#x are not supported", op)
	}
	offset := uint32(r.signed(32))
	r.end()
	return segment{offset: offset, bytes: r.take(r.u32())}
}

// end reads the end of a constant expression.
func (r *reader) end() {
	if op := r.byte(); op != opEnd {
		r.failf("expression goes on with %#x; expected its end", op)
	}
}

// readVector reads a vector of items. An item takes at least itemSize bytes, so more items than fit in
// what is left are an error, before anything is allocated for them.
func readVector[T any](r *reader, itemSize int, item func() T) []T {
	n := r.u32()
	if left := len(r.b) - r.pos; uint64(n) > uint64(left/itemSize) {
		r.failf("%d items do not fit in %d bytes", n, left)
	}
	if r.err != nil {
		return nil
	}
	items := make([]T, 0, n)
	for range n {
		items = append(items, item())
		if r.err != nil {
			return nil
		}
	}
	return items
}
