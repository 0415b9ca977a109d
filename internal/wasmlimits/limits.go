// Package wasmlimits reads what a WebAssembly module declares, before an engine
// takes the module's word for it: an engine allocates by the counts in a module,
// and hands out tables and stack without a bound of its own.
//
// It knows sections and what is in them, and no instructions. It does not say
// that a module is valid, which is the engine's to say. It says that what the
// module makes the engine allocate is in proportion to the module, and how much
// an instance takes beside its memory.
package wasmlimits

import "fmt"

// What a module may have. Compilers stay far below; the embedded module has
// functions of up to 30 kB, 20 locals and 1 result.
const (
	// MaxModule is how long a module may be, without its custom sections.
	MaxModule = 8 << 20
	// MaxFunction is how long the body of a function may be.
	MaxFunction = 1 << 20
	// MaxLocals is how many locals a function may have beside its parameters.
	MaxLocals = 4096
	// MaxAllLocals is how many all functions may have together.
	MaxAllLocals = 1 << 20
	// MaxParams and MaxResults are for a function's type.
	MaxParams  = 128
	MaxResults = 16
)

// What an instance takes in bytes for what its module declares, rounded up.
const (
	functionBytes = 64
	globalBytes   = 128
	tableBytes    = 256
	entryBytes    = 8
	segmentBytes  = 64
	// A stack slot has 8 bytes, and the slice that it is in is copied to one a
	// quarter larger when it grows.
	slotBytes = 20
	// frameBytes is what a call takes whatever it has: the interpreter recurses, on a
	// stack of Go's that doubles when it grows.
	frameBytes = 8 << 10
)

// Module is what a module declares.
type Module struct {
	// Bytes is the module without custom sections, and with a maximum for every
	// table: one without is as long as it starts.
	Bytes []byte
	// Instance is how many bytes an instance takes at most for all that the module
	// declares, beside memory: tables as long as they can get, globals, segments.
	Instance int64
	// Memory is how many bytes of memory an instance begins with.
	Memory int64
	// Frames are how many bytes a call of each function takes at most, in an
	// interpreter, beside the calls that it makes.
	Frames []int64
}

// The sections, by their numbers.
const (
	sectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
	sectionDataCount
)

const header = "\x00asm\x01\x00\x00\x00"

// Imports counts what a module imports, of every kind. It believes the module's
// own count.
//
// An error says that the module is damaged before its imports.
func Imports(module []byte) (int, error) {
	imports := 0
	err := sections(module, func(r *reader, id byte, _ []byte) {
		if id == sectionImport {
			imports = int(r.unsigned())
		}
	})
	return imports, err
}

// Inspect reads a module.
//
// An error says what is damaged or too much, for a person to read.
func Inspect(module []byte) (*Module, error) {
	i := inspection{out: []byte(header)}
	last := byte(0)
	err := sections(module, func(r *reader, id byte, section []byte) {
		if id == sectionCustom {
			return
		}
		if place(id) <= place(last) {
			r.fail("a section is there twice, or out of order")
			return
		}
		last = id
		i.section(r, id, section)
		if r.err == nil && len(r.rest) > 0 {
			r.fail("a section is longer than what is in it")
		}
		if len(i.out) > MaxModule {
			r.fail("the module has more than %d bytes without its custom sections", MaxModule)
		}
	})
	if err != nil {
		return nil, err
	}
	if len(i.functions) != i.bodies {
		return nil, fmt.Errorf("the module declares %d functions and has %d", len(i.functions), i.bodies)
	}
	return &Module{Bytes: i.out, Instance: i.instance, Memory: i.memory, Frames: i.frames}, nil
}

// place is where a section stands: the count of data segments before the code.
func place(id byte) int {
	switch {
	case id == sectionDataCount:
		return 2*sectionElement + 1
	default:
		return 2 * int(id)
	}
}

// sections hands over the content of each section, and the section as a whole.
func sections(module []byte, f func(r *reader, id byte, section []byte)) error {
	if len(module) < len(header) || string(module[:len(header)]) != header {
		return fmt.Errorf("it does not begin as a WebAssembly module does")
	}
	r := &reader{rest: module[len(header):]}
	for len(r.rest) > 0 && r.err == nil {
		start := r.rest
		id := r.byte()
		content := &reader{rest: r.bytes(r.unsigned())}
		if r.err == nil {
			f(content, id, start[:len(start)-len(r.rest)])
			r.err = content.err
		}
	}
	return r.err
}

// signature is how many stack slots a function's parameters and results take.
type signature struct{ params, results int64 }

type inspection struct {
	out       []byte
	instance  int64
	memory    int64
	types     []signature
	results   int64    // the most of any type
	functions []uint32 // their types
	frames    []int64
	bodies    int
	locals    int64
}

// section reads a section and appends it to what comes out.
func (i *inspection) section(r *reader, id byte, section []byte) {
	switch id {
	case sectionTable:
		var tables []byte
		r.vector(3, func() { tables = i.table(r, tables) })
		content := append(appendUnsigned(nil, r.last), tables...)
		section = append(appendUnsigned([]byte{id}, uint32(len(content))), content...)
	case sectionType:
		r.vector(3, func() {
			t := functionType(r)
			i.types, i.results = append(i.types, t), max(i.results, t.results)
		})
	case sectionImport:
		if n := r.unsigned(); n > 0 {
			r.fail("the module imports %d things; a sandboxed core imports nothing", n)
		}
	case sectionFunction:
		r.vector(1, func() { i.functions = append(i.functions, r.unsigned()) })
		i.instance += functionBytes * int64(len(i.functions))
	case sectionMemory:
		r.vector(2, func() {
			least, _, _ := r.limits()
			i.memory += int64(least) << 16
		})
	case sectionGlobal:
		r.vector(4, func() {
			r.valueType()
			r.byte() // whether it can be changed
			r.constant()
			i.instance += globalBytes
		})
	case sectionExport:
		r.vector(3, func() {
			r.bytes(r.unsigned())
			r.byte()
			r.unsigned()
		})
	case sectionStart, sectionDataCount:
		r.unsigned()
	case sectionElement:
		r.vector(3, func() { i.instance += segmentBytes + entryBytes*elements(r) })
	case sectionCode:
		r.vector(3, func() { i.body(r) })
	case sectionData:
		r.vector(2, func() {
			data(r)
			i.instance += segmentBytes
		})
	default:
		r.fail("the module has a section of a kind that is not known (%d)", id)
	}
	i.out = append(i.out, section...)
}

// table reads a table, and appends it with a maximum.
func (i *inspection) table(r *reader, out []byte) []byte {
	kind := r.referenceType()
	least, most, bounded := r.limits()
	i.instance += tableBytes + entryBytes*int64(least)
	if !bounded {
		most = least
	} else if most > least {
		i.instance += 2 * entryBytes * int64(most-least) // a slice grows by doubling
	}
	return appendUnsigned(appendUnsigned(append(out, kind, 1), least), most)
}

func functionType(r *reader) signature {
	if r.byte() != 0x60 {
		r.fail("the module has a type that is not a function's")
	}
	params := valueTypes(r, MaxParams, "parameters")
	return signature{params, valueTypes(r, MaxResults, "results")}
}

// valueTypes reads types, and returns how many stack slots values of them take.
func valueTypes(r *reader, most uint32, what string) (slots int64) {
	r.vector(1, func() { slots += r.valueType() })
	if r.last > most {
		r.fail("a function has %d %s; at most %d can be had", r.last, what, most)
	}
	return slots
}

// elements reads a segment of elements, and returns how many it has.
func elements(r *reader) int64 {
	kind := r.unsigned()
	if kind > 7 {
		r.fail("the module has elements of a kind that is not known (%d)", kind)
		return 0
	}
	// The bits say what is there: no active segment, a table's number or a
	// declaration, expressions in the place of numbers.
	passive, explicit, expressions := kind&1 != 0, kind&2 != 0, kind&4 != 0
	if !passive {
		if explicit {
			r.unsigned()
		}
		r.constant()
	}
	switch {
	case !passive && !explicit:
	case expressions:
		r.referenceType()
	default:
		r.byte() // functions
	}
	if expressions {
		r.vector(2, r.constant)
	} else {
		r.vector(1, func() { r.unsigned() })
	}
	return int64(r.last)
}

func data(r *reader) {
	switch kind := r.unsigned(); kind {
	case 0:
		r.constant()
	case 1:
	case 2:
		r.unsigned() // the memory
		r.constant()
	default:
		r.fail("the module has data of a kind that is not known (%d)", kind)
	}
	r.bytes(r.unsigned())
}

// body reads the body of the next function.
func (i *inspection) body(r *reader) {
	size := r.unsigned()
	if size > MaxFunction {
		r.fail("a function has %d bytes; at most %d can be had", size, MaxFunction)
	}
	content := &reader{rest: r.bytes(size), err: r.err}
	var locals, slots int64
	content.vector(2, func() {
		n := int64(content.unsigned())
		locals += n
		slots += n * content.valueType()
	})
	i.locals += locals
	switch {
	case locals > MaxLocals:
		content.fail("a function has %d locals; at most %d can be had", locals, MaxLocals)
	case i.locals > MaxAllLocals:
		content.fail("the functions have more than %d locals", MaxAllLocals)
	case i.bodies >= len(i.functions) || int64(i.functions[i.bodies]) >= int64(len(i.types)):
		content.fail("a function has no type")
	}
	if r.err = content.err; r.err != nil {
		return
	}
	own := i.types[i.functions[i.bodies]]
	i.bodies++
	i.frames = append(i.frames, frameBytes+slotBytes*(own.params+own.results+slots+i.pushed(int64(len(content.rest)))))
}

// pushed is how many stack slots so many bytes of instructions can fill: none puts
// more than one value on the stack without taking one away, except for calls, and
// such instructions have at least 2 bytes.
func (i *inspection) pushed(instructions int64) int64 {
	const vector = 2
	return instructions / 2 * max(vector, i.results)
}
