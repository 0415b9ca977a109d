package wasmlimits_test

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/agentassert/agentassert/internal/wasmlimits"
	"github.com/agentassert/agentassert/wasm"
)

const (
	i32  = 0x7f
	v128 = 0x7b

	funcref   = 0x70
	externref = 0x6f

	end = 0x0b
)

// module puts sections behind the header.
func module(sections ...[]byte) []byte {
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"), slices.Concat(sections...))
}

// section is one with a content of less than 16 kB.
func section(id byte, content ...byte) []byte {
	n := len(content)
	if n < 0x80 {
		return append([]byte{id, byte(n)}, content...)
	}
	return append([]byte{id, byte(n) | 0x80, byte(n >> 7)}, content...)
}

// function is a module with one function that takes and returns nothing.
func function(body ...byte) []byte {
	return module(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(10, append([]byte{1, byte(len(body))}, body...)...))
}

func TestInspectEmbedded(t *testing.T) {
	m, err := wasmlimits.Inspect(wasm.Module)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Frames) < 1000 || m.Memory < 1<<20 || m.Instance < 1<<10 || m.Instance > 1<<20 {
		t.Errorf("got %d functions, %d bytes of memory, %d beside it", len(m.Frames), m.Memory, m.Instance)
	}
	again, err := wasmlimits.Inspect(m.Bytes)
	if err != nil || !bytes.Equal(again.Bytes, m.Bytes) {
		t.Errorf("what comes out does not come out again: %v", err)
	}
	if n, err := wasmlimits.Imports(wasm.Module); n != 0 || err != nil {
		t.Errorf("the module imports %d, %v; want nothing", n, err)
	}
}

// Whatever is imported counts: functions, tables, memories and globals alike.
func TestImports(t *testing.T) {
	for name, description := range map[string][]byte{
		"function":     {0, 0},
		"table":        {1, funcref, 0, 0},
		"memory":       {2, 0, 0},
		"global":       {3, i32, 0},
		"another kind": {4, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := module(section(1, 1, 0x60, 0, 0), section(2, append([]byte{1, 1, 'a', 1, 'b'}, description...)...))
			if n, err := wasmlimits.Imports(m); n != 1 || err != nil {
				t.Errorf("got %d, %v; want 1", n, err)
			}
			checkRefused(t, m, "imports nothing")
		})
	}
	if n, err := wasmlimits.Imports(module(section(1, 0))); n != 0 || err != nil {
		t.Errorf("without the section: got %d, %v; want 0", n, err)
	}
	if _, err := wasmlimits.Imports([]byte("\x00asm\x01\x00\x00\x00\x01\x7f")); err == nil {
		t.Error("a damaged module imports nothing, without an error")
	}
}

func checkRefused(t *testing.T, m []byte, text string) {
	t.Helper()
	if _, err := wasmlimits.Inspect(m); err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got error %v, want one with %q", err, text)
	}
}

func TestInspectTables(t *testing.T) {
	const (
		table = 256
		entry = 8
	)
	for _, tt := range []struct {
		name     string
		in, out  []byte // tables
		instance int64
	}{
		{"none", []byte{0}, []byte{0}, 0},
		{"without a maximum", []byte{1, funcref, 0, 5}, []byte{1, funcref, 1, 5, 5}, table + 5*entry},
		{"with one", []byte{1, funcref, 1, 5, 7}, []byte{1, funcref, 1, 5, 7}, table + 5*entry + 2*2*entry},
		{"external references", []byte{1, externref, 0, 1}, []byte{1, externref, 1, 1, 1}, table + entry},
		{"several", []byte{2, funcref, 0, 1, externref, 1, 0, 2}, []byte{2, funcref, 1, 1, 1, externref, 1, 0, 2}, 2*table + 5*entry},
		{"a long count, a long size", []byte{0x81, 0, funcref, 0, 0x85, 0x80, 0}, []byte{1, funcref, 1, 5, 5}, table + 5*entry},
		{"as large as can be", []byte{1, funcref, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xf}, []byte{1, funcref, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xf}, table + 2*entry*(1<<32-1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := wasmlimits.Inspect(module(section(4, tt.in...)))
			if err != nil {
				t.Fatal(err)
			}
			if want := module(section(4, tt.out...)); !bytes.Equal(m.Bytes, want) {
				t.Errorf("got %x, want %x", m.Bytes, want)
			}
			if m.Instance != tt.instance {
				t.Errorf("an instance takes %d, want %d", m.Instance, tt.instance)
			}
		})
	}
}

func TestInspectCounts(t *testing.T) {
	types, functions := section(1, 1, 0x60, 0, 0), section(3, 2, 0, 0)
	bodies := section(10, 2, 2, 0, end, 2, 0, end)
	for _, tt := range []struct {
		name             string
		module           []byte
		instance, memory int64
	}{
		{"nothing", module(), 0, 0},
		{"functions", module(types, functions, bodies), 2 * 64, 0},
		{"a memory", module(section(5, 1, 0, 3)), 0, 3 << 16},
		{"a memory with a maximum", module(section(5, 1, 1, 3, 9)), 0, 3 << 16},
		{"globals", module(section(6, 2, i32, 1, 0x41, 0, end, funcref, 0, 0xd0, funcref, end)), 2 * 128, 0},
		{"data", module(section(5, 1, 0, 1), section(11, 2, 0, 0x41, 0, end, 1, 'x', 1, 2, 'y', 'z')), 2 * 64, 1 << 16},
		{"elements", module(types, functions, section(4, 1, funcref, 1, 2, 2), section(9, 8,
			0, 0x41, 0, end, 2, 0, 1,
			1, 0, 1, 0,
			2, 0, 0x41, 0, end, 0, 1, 0,
			3, 0, 1, 0,
			4, 0x41, 0, end, 1, 0xd2, 0, end,
			5, funcref, 1, 0xd0, funcref, end,
			6, 0, 0x41, 0, end, funcref, 1, 0xd2, 1, end,
			7, funcref, 1, 0xd2, 1, end,
		), bodies), 2*64 + 256 + 2*8 + 8*64 + 9*8, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := wasmlimits.Inspect(tt.module)
			if err != nil {
				t.Fatal(err)
			}
			if m.Instance != tt.instance || m.Memory != tt.memory {
				t.Errorf("an instance takes %d and %d of memory, want %d and %d", m.Instance, m.Memory, tt.instance, tt.memory)
			}
			// It has to be as the engine reads it.
			compile(t, m.Bytes, true)
		})
	}
}

func TestInspectFrames(t *testing.T) {
	m, err := wasmlimits.Inspect(module(
		section(1, 2, 0x60, 2, i32, v128, 1, i32, 0x60, 0, 4, i32, i32, i32, v128),
		section(3, 2, 0, 0),
		section(10, 2,
			2, 0, end,
			8, 1, 3, i32, 0, 0, 0, 0, end,
		),
	))
	const always, slot = 8 << 10, 20
	// The parameters and the result, the locals, and for each 2 bytes of
	// instructions as many results as the module has in a type.
	if want := []int64{always + slot*4, always + slot*(4+3+2*5)}; err != nil || !slices.Equal(m.Frames, want) {
		t.Errorf("got %v, %v; want %v", m, err, want)
	}
}

func TestInspectRefuses(t *testing.T) {
	long := func(n int) []byte { return make([]byte, n) }
	big := func(n int) []byte { // a code section with one body of so many bytes
		n4 := []byte{byte(n) | 0x80, byte(n>>7) | 0x80, byte(n>>14) | 0x80, byte(n >> 21)}
		s := n + 5
		s4 := []byte{byte(s) | 0x80, byte(s>>7) | 0x80, byte(s>>14) | 0x80, byte(s >> 21)}
		return slices.Concat([]byte{10}, s4, []byte{1}, n4, long(n))
	}
	for _, tt := range []struct {
		name   string
		module []byte
		text   string
	}{
		{"nothing", nil, "begin as"},
		{"something else", []byte("this is no module"), "begin as"},
		{"another version", []byte("\x00asm\x02\x00\x00\x00"), "begin as"},
		{"a section cut short", module([]byte{1, 5, 0}), "cut short"},
		{"a section without a size", module([]byte{1}), "cut short"},
		{"a size that is too long", module([]byte{1, 0x80, 0x80, 0x80, 0x80, 0x80, 0}), "too long"},
		{"a size that is too large", module([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x7f}), "too large"},
		{"more than it says", module(section(1, 0, 0)), "longer than"},
		{"twice", module(section(1, 0), section(1, 0)), "out of order"},
		{"out of order", module(section(3, 0), section(1, 0)), "out of order"},
		{"a section of no kind", module(section(13, 0)), "not known"},
		{"four billion types", module(section(1, 0xff, 0xff, 0xff, 0xff, 0xf)), "counts"},
		{"four billion functions", module(section(3, 0xff, 0xff, 0xff, 0xff, 0xf)), "counts"},
		{"four billion tables", module(section(4, 0xff, 0xff, 0xff, 0xff, 0xf)), "counts"},
		{"four billion exports", module(section(7, 0xff, 0xff, 0xff, 0xff, 0xf)), "counts"},
		{"four billion elements", module(section(9, 1, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xf)), "counts"},
		{"four billion expressions", module(section(9, 1, 5, funcref, 0xff, 0xff, 0xff, 0xff, 0xf)), "counts"},
		{"four billion bytes of data", module(section(11, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xf)), "cut short"},
		{"a name of four billion bytes", module(section(7, 1, 0xff, 0xff, 0xff, 0xff, 0xf)), "cut short"},
		{"four billion parameters", module(section(1, 1, 0x60, 0xff, 0xff, 0xff, 0xff, 0xf)), "counts"},
		{"parameters", module(section(1, slices.Concat([]byte{1, 0x60, 0x81, 1}, bytes.Repeat([]byte{i32}, 129), []byte{0})...)), "129 parameters"},
		{"results", module(section(1, slices.Concat([]byte{1, 0x60, 0, 17}, bytes.Repeat([]byte{i32}, 17))...)), "17 results"},
		{"four billion locals", function(1, 0xff, 0xff, 0xff, 0xff, 0xf, i32, end), "locals"},
		{"locals that wrap around", function(2, 0xff, 0xff, 0xff, 0xff, 0xf, i32, 1, i32, end), "locals"},
		{"too many locals", function(1, 0x81, 0x20, i32, end), "4097 locals"},
		{"a function that is too long", module(section(1, 1, 0x60, 0, 0), section(3, 1, 0), big(1<<20+1)), "1048577 bytes"},
		{"a function without a body", module(section(1, 1, 0x60, 0, 0), section(3, 1, 0)), "1 functions and has 0"},
		{"a body without a function", module(section(10, 1, 2, 0, end)), "no type"},
		{"a function of no type", module(section(3, 1, 0), section(10, 1, 2, 0, end)), "no type"},
		{"a memory of 64 bits", module(section(5, 1, 4, 1)), "64 bits"},
		{"a shared memory", module(section(5, 1, 3, 1, 1)), "shared"},
		{"a table of 64 bits", module(section(4, 1, funcref, 4, 1)), "64 bits"},
		{"a table with values", module(section(4, 1, 0x40, 0, funcref, 0, 1, 0xd0, funcref, end)), "not known"},
		{"a table of another type", module(section(4, 1, 0x63, 0, 0, 0)), "not known"},
		{"a type that is no function's", module(section(1, 1, 0x4e, 1, 0x60, 0, 0)), "not a function's"},
		{"a value of no type", module(section(1, 1, 0x60, 1, 0x63, 0)), "not known"},
		{"elements of no kind", module(section(9, 1, 8, 0, 0)), "not known"},
		{"data of no kind", module(section(11, 1, 3, 0)), "not known"},
		{"sums", module(section(6, 1, i32, 0, 0x41, 1, 0x41, 1, 0x6a, end)), "more than constants"},
		{"an endless expression", module(section(6, 1, i32, 0, 0x41, 1)), "cut short"},
	} {
		t.Run(tt.name, func(t *testing.T) { checkRefused(t, tt.module, tt.text) })
	}
}

func TestInspectRefusesTooMuch(t *testing.T) {
	// 9 functions of nearly the most bytes.
	const n = wasmlimits.MaxFunction - 1
	size := []byte{n&0x7f | 0x80, n>>7&0x7f | 0x80, n >> 14}
	bodies := bytes.Repeat(append(size, make([]byte, n)...), 9)
	s := len(bodies) + 1
	code := slices.Concat([]byte{10, byte(s) | 0x80, byte(s>>7) | 0x80, byte(s>>14) | 0x80, byte(s >> 21)}, []byte{9}, bodies)
	functions := section(3, append([]byte{9}, make([]byte, 9)...)...)
	checkRefused(t, module(section(1, 1, 0x60, 0, 0), functions, code), "more than 8388608 bytes")

	// A custom section of any size costs nothing.
	custom := slices.Concat([]byte{0, 0x80, 0x80, 0x80, 8}, make([]byte, 8<<21))
	if m, err := wasmlimits.Inspect(module(custom)); err != nil || len(m.Bytes) != 8 {
		t.Errorf("with a custom section of 16 MiB: got %v", err)
	}

	// 300 functions with nearly the most locals.
	locals := bytes.Repeat([]byte{5, 1, 0xff, 0x1f, i32, end}, 300)
	functions = section(3, append([]byte{0xac, 2}, make([]byte, 300)...)...)
	code = section(10, append([]byte{0xac, 2}, locals...)...)
	checkRefused(t, module(section(1, 1, 0x60, 0, 0), functions, code), "more than 1048576 locals")
}

// compile hands a module to the engine. It returns how much the engine allocated.
func compile(t testing.TB, m []byte, valid bool) uint64 {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := r.CompileModule(ctx, m)
	runtime.ReadMemStats(&after)
	if valid && err != nil {
		t.Errorf("the engine does not take it: %v", err)
	}
	return after.TotalAlloc - before.TotalAlloc
}

// What gets through does not make the engine allocate out of proportion, and does
// not change when it is read again.
func FuzzInspect(f *testing.F) {
	f.Add(module())
	f.Add(function(1, 3, i32, end))
	f.Add(module(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(4, 1, funcref, 0, 2), section(5, 1, 1, 1, 2),
		section(6, 1, i32, 1, 0x41, 0, end), section(7, 1, 1, 'x', 0, 0), section(8, 0),
		section(9, 2, 0, 0x41, 0, end, 1, 0, 1, 0, 1, 0), section(12, 1), section(10, 1, 2, 0, end),
		section(11, 1, 0, 0x41, 0, end, 1, 'x'), section(0, 1, 'n')))
	f.Fuzz(func(t *testing.T, module []byte) {
		m, err := wasmlimits.Inspect(module)
		if err != nil {
			return
		}
		again, err := wasmlimits.Inspect(m.Bytes)
		if err != nil || !bytes.Equal(again.Bytes, m.Bytes) || again.Instance != m.Instance || !slices.Equal(again.Frames, m.Frames) {
			t.Errorf("read again it is another: %v", err)
		}
		if n, err := wasmlimits.Imports(m.Bytes); n != 0 || err != nil {
			t.Errorf("it imports %d, %v", n, err)
		}
		// 4096 locals of one function are set by as many instructions, of 64 bytes.
		if got, most := compile(t, m.Bytes, false), uint64(1<<20+1000*len(m.Bytes)); got > most+uint64(len(m.Frames))<<20 {
			t.Errorf("the engine allocates %d bytes for a module of %d", got, len(m.Bytes))
		}
	})
}
