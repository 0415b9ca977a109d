package main

import (
	"bytes"
	"math"
	"runtime"
	"strings"
	"testing"
)

// mod returns a module with these sections.
func mod(sections ...[]byte) []byte {
	return append([]byte(header), bytes.Join(sections, nil)...)
}

// sec returns a section with that content.
func sec(id byte, content ...byte) []byte {
	return appendSection(nil, id, content)
}

// small is a module with one of everything that parseModule knows.
var small = mod(
	sec(sectionCustom, 1, 'c', 0xff),
	sec(sectionType, 2, 0x60, 0, 0, 0x60, 2, typeI32, typeI64, 1, typeF64),
	sec(sectionImport, 1, 1, 'm', 1, 'n', externFunc, 0),
	sec(sectionFunction, 1, 0),
	sec(sectionTable, 1, 0x70, 0, 1),
	sec(sectionMemory, 1, 1, 1, 2),
	sec(sectionGlobal, 4,
		typeI32, 1, opI32Const, 0x7f, opEnd,
		typeI64, 0, opI64Const, 0x80, 0x7f, opEnd,
		typeF32, 1, opF32Const, 1, 2, 3, 4, opEnd,
		typeF64, 1, opF64Const, 1, 2, 3, 4, 5, 6, 7, 8, opEnd),
	sec(sectionExport, 1, 1, 'e', externFunc, 1),
	sec(sectionStart, 1),
	sec(sectionElement, 1, 0, opI32Const, 0, opEnd, 1, 1),
	sec(sectionCode, 1, 2, 0, opEnd),
	sec(sectionData, 2, 0, opI32Const, 0, opEnd, 1, 'd', 0, opI32Const, 0x80, 0x80, 4, opEnd, 0),
	sec(sectionCustom, 1, 'd'),
)

func TestRoundTrip(t *testing.T) {
	for name, b := range map[string][]byte{
		"small":         small,
		"empty":         mod(),
		"Go's":          builtGuest(t),
		"our own":       finishedGuest(t),
		"empty vectors": mod(sec(sectionType, 0), sec(sectionImport, 0), sec(sectionMemory, 0), sec(sectionData, 0)),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := parseModule(b)
			if err != nil {
				t.Fatal(err)
			}
			checkFixedPoint(t, m)
		})
	}
}

// checkFixedPoint checks that a module which is written and parsed again is the same.
func checkFixedPoint(t *testing.T, m *module) {
	t.Helper()
	once := m.encode()
	again, err := parseModule(once)
	if err != nil {
		t.Fatalf("parsing what was written: %v", err)
	}
	if !bytes.Equal(again.encode(), once) {
		t.Error("writing what was written and parsed gives other bytes")
	}
	if len(m.code) != len(again.code) || len(m.data) != len(again.data) || len(m.exports) != len(again.exports) ||
		len(m.globals) != len(again.globals) || len(m.imports) != len(again.imports) || len(m.customs) != len(again.customs) {
		t.Error("something got lost")
	}
	for i := range m.code {
		if !bytes.Equal(m.code[i], again.code[i]) {
			t.Fatalf("the body of function %d changed", i)
		}
	}
	for i := range m.data {
		if m.data[i].offset != again.data[i].offset || !bytes.Equal(m.data[i].bytes, again.data[i].bytes) {
			t.Fatalf("data segment %d changed", i)
		}
	}
}

// What the Go linker pads comes out shorter, and the rest as it is.
func TestEncodeSmall(t *testing.T) {
	m, err := parseModule(small)
	if err != nil {
		t.Fatal(err)
	}
	got := m.encode()
	if len(got) != len(small) {
		t.Errorf("%d bytes became %d", len(small), len(got))
	}
	padded := mod([]byte{sectionStart, 0x83, 0x80, 0x80, 0x80, 0, 0x81, 0x80, 0})
	if m, err = parseModule(padded); err != nil {
		t.Fatal(err)
	}
	if got, want := m.encode(), mod(sec(sectionStart, 1)); !bytes.Equal(got, want) {
		t.Errorf("% x instead of % x", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x0f} // 1<<32 - 1
	for name, test := range map[string]struct {
		b    []byte
		want string
	}{
		"nothing":                 {nil, "not a WebAssembly module"},
		"half a header":           {[]byte(header)[:6], "not a WebAssembly module"},
		"another version":         {[]byte("\x00asm\x02\x00\x00\x00"), "not a WebAssembly module"},
		"a component":             {[]byte("\x00asm\x0d\x00\x01\x00"), "not a WebAssembly module"},
		"section without size":    {mod([]byte{sectionType}), "left"},
		"section cut short":       {mod([]byte{sectionType, 2, 0}), "2 bytes expected, 1 left"},
		"giant section":           {mod(append([]byte{sectionCode}, huge...)), "bytes expected"},
		"size of 6 bytes":         {mod([]byte{sectionType, 0x80, 0x80, 0x80, 0x80, 0x80, 0}), "integer too large"},
		"size over 32 bits":       {mod([]byte{sectionType, 0x80, 0x80, 0x80, 0x80, 0x10}), "integer too large"},
		"endless size":            {mod([]byte{sectionType, 0x80}), "left"},
		"giant vector":            {mod(sec(sectionType, huge...)), "do not fit"},
		"vector too long":         {mod(sec(sectionFunction, 2, 0)), "do not fit"},
		"bytes after the vector":  {mod(sec(sectionFunction, 0, 0)), "too many"},
		"section twice":           {mod(sec(sectionType, 0), sec(sectionType, 0)), "comes twice"},
		"sections out of order":   {mod(sec(sectionFunction, 0), sec(sectionType, 0)), "comes twice, or after"},
		"data count section":      {mod(sec(12, 0)), "section 12 is not supported"},
		"tag section":             {mod(sec(13, 0)), "section 13 is not supported"},
		"type of no function":     {mod(sec(sectionType, 1, 0x5f, 0, 0)), "not that of a function"},
		"imported memory":         {mod(sec(sectionImport, 1, 1, 'm', 1, 'n', externMemory, 0, 1)), "m.n is not a function"},
		"imported global":         {mod(sec(sectionImport, 1, 1, 'm', 1, 'n', externGlobal, typeI32, 0)), "m.n is not a function"},
		"name cut short":          {mod(sec(sectionExport, 1, 200, 'a', 0, 0)), "expected"},
		"name that is no UTF-8":   {mod(sec(sectionExport, 1, 1, 0xff, 0, 0)), "UTF-8"},
		"custom without name":     {mod(sec(sectionCustom)), "left"},
		"two memories":            {mod(sec(sectionMemory, 2, 0, 1, 0, 1)), "2 memories"},
		"shared memory":           {mod(sec(sectionMemory, 1, 3, 1, 1)), "kind 0x3"},
		"64-bit memory":           {mod(sec(sectionMemory, 1, 4, 1)), "kind 0x4"},
		"mutability 2":            {mod(sec(sectionGlobal, 1, typeI32, 2, opI32Const, 0, opEnd)), "mutability"},
		"global from a global":    {mod(sec(sectionGlobal, 1, typeI32, 0, opGlobalGet, 0, opEnd)), "begin as 0x23"},
		"expression without end":  {mod(sec(sectionGlobal, 1, typeI32, 0, opI32Const, 0, opNop)), "expected its end"},
		"constant over 32 bits":   {mod(sec(sectionGlobal, 1, typeI32, 0, opI32Const, 0xff, 0xff, 0xff, 0xff, 0x0f, opEnd)), "integer too large"},
		"passive data":            {mod(sec(sectionData, 1, 1, 1, 'd', 0, 0)), "kind 1"},
		"data where a global is":  {mod(sec(sectionData, 1, 0, opGlobalGet, 0, opEnd, 0)), "not supported"},
		"data cut short":          {mod(sec(sectionData, 1, 0, opI32Const, 0, opEnd, 9)), "9 bytes expected"},
		"functions without code":  {mod(sec(sectionFunction, 1, 0)), "1 functions, but 0 bodies"},
		"code without functions":  {mod(sec(sectionCode, 1, 2, 0, opEnd)), "0 functions, but 1 bodies"},
		"body larger than it has": {mod(sec(sectionCode, 1, 3, 0, opEnd)), "3 bytes expected"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseModule(test.b)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v; it should say %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is of several lines: %v", err)
			}
		})
	}
}

// Wherever a module is cut off, or one byte of it is different, parsing it neither panics nor loops.
func TestParseDamaged(t *testing.T) {
	for i := range small {
		if _, err := parseModule(small[:i]); err == nil && bytes.Equal(mustParse(t, small[:i]).encode(), small) {
			t.Errorf("the first %d bytes are as good as all", i)
		}
		for _, x := range []byte{0x01, 0x80, 0xff} {
			b := bytes.Clone(small)
			b[i] ^= x
			if m, err := parseModule(b); err == nil {
				checkFixedPoint(t, m)
			}
		}
	}
}

func mustParse(t *testing.T, b []byte) *module {
	t.Helper()
	m, err := parseModule(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What a module claims to hold is not allocated until it turns out to be there.
func TestParseAllocates(t *testing.T) {
	tests := map[string][]byte{"many empty bodies": mod(sec(sectionCode, append(appendUnsigned(nil, 1<<20), make([]byte, 1<<20)...)...))}
	for id := byte(sectionType); id <= sectionData; id++ {
		tests["giant vector in section "+string('0'+id)] = mod(sec(id, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0, 0))
	}
	for name, b := range tests {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := parseModule(b)
		runtime.ReadMemStats(&after)
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(1<<16+32*len(b)); got > limit {
			t.Errorf("%s: %d bytes took %d bytes of memory, over %d (%v)", name, len(b), got, limit, err)
		}
	}
}

func TestIntegers(t *testing.T) {
	for shift := range 64 {
		for _, delta := range []int64{-1, 0, 1} {
			v := int64(1)<<shift + delta
			for _, v := range []int64{v, -v} {
				r := &reader{b: appendSigned(nil, v)}
				if got := r.signed(64); got != v || r.err != nil || r.pos != len(r.b) {
					t.Errorf("signed 64: %d became %d (%v)", v, got, r.err)
				}
				r = &reader{b: appendSigned(nil, v)}
				got := r.signed(32)
				if fits := v >= math.MinInt32 && v <= math.MaxInt32; fits != (r.err == nil) || fits && got != v {
					t.Errorf("signed 32: %d became %d (%v)", v, got, r.err)
				}
				u := uint64(v)
				r = &reader{b: appendUnsigned(nil, u)}
				gotU := r.u32()
				if fits := u <= math.MaxUint32; fits != (r.err == nil) || fits && uint64(gotU) != u {
					t.Errorf("unsigned 32: %d became %d (%v)", u, gotU, r.err)
				}
			}
		}
	}
	r := &reader{b: []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7e}}
	if r.signed(64); r.err == nil {
		t.Error("a tenth byte with bits beyond 64 passed")
	}
}

func TestGoVersion(t *testing.T) {
	m := mustParse(t, builtGuest(t))
	if got, want := m.goVersion(), runtime.Version(); got != want {
		t.Errorf("version %q; this is %q", got, want)
	}
	for name, content := range map[string]string{
		"other language": "\x01\x08language\x01\x01C\x0217",
		"cut short":      "\x01\x08language\x01\x02Go\x09go1",
		"empty":          "",
	} {
		m := &module{customs: []custom{{"name", nil}, {"producers", []byte(content)}}}
		if got := m.goVersion(); got != "" {
			t.Errorf("%s: version %q", name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small)
	f.Add(mod())
	f.Add(mod(sec(sectionCode, 0xff, 0xff, 0xff, 0xff, 0x0f)))
	f.Add(mod(sec(sectionCustom, append([]byte("\x09producers"), "\x01\x08language\x01\x02Go\x08go1.26.8"...)...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := parseModule(b)
		runtime.ReadMemStats(&after)
		// Other goroutines of the fuzzing engine allocate, too: hence the generous constant.
		if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20+64*uint64(len(b)) {
			t.Errorf("%d bytes took %d bytes of memory", len(b), got)
		}
		if err != nil {
			return
		}
		checkFixedPoint(t, m)
		m.goVersion()
		for _, body := range m.code {
			if out, err := insertInLoops(body, []byte{opNop}); err == nil && len(out) < len(body) {
				t.Error("code got lost")
			}
		}
	})
}
