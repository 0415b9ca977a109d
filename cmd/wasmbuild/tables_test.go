package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"testing"
)

// guestFunctions returns what memory tells about functions once testGuest has started.
func guestFunctions(t *testing.T) *functions {
	t.Helper()
	s, err := runGuest(context.Background(), mustParse(t, builtGuest(t)))
	if err != nil {
		t.Fatal(err)
	}
	f := findFunctions(s.memory)
	if f == nil {
		t.Fatal("there is no table of functions in memory")
	}
	return f
}

// all returns n times true.
func all(n int) []bool { return slices.Repeat([]bool{true}, n) }

// dataSize is how many bytes of data it takes to make a memory.
func dataSize(memory []byte) (n int) {
	for _, s := range segments(memory) {
		n += len(s.bytes)
	}
	return n
}

// This version of Go lays out its tables as this program thinks. Otherwise the module is larger than it
// has to be, and functions.go out of date.
func TestFindFunctions(t *testing.T) {
	f := guestFunctions(t)
	m := mustParse(t, builtGuest(t))
	if len(f.descriptions) != len(m.code) {
		t.Errorf("%d functions are described, of %d", len(f.descriptions), len(m.code))
	}
	names := make(map[string]int)
	for i := range f.descriptions {
		names[f.name(i)]++
	}
	for _, name := range []string{"main.do", "main.value.method", "main.(*value).method", "runtime.gopanic", "runtime.(*mheap).grow", "wasm_pc_f_loop"} {
		if names[name] != 1 {
			t.Errorf("%d functions are named %s", names[name], name)
		}
	}
	for pc, want := range map[uint64]bool{
		uint64(f.first) << 16: true,
		(uint64(f.first)+uint64(len(f.descriptions)))<<16 - 1: true,
		(uint64(f.first) + uint64(len(f.descriptions))) << 16: false,
		uint64(f.first)<<16 - 1:                               false,
		0:                                                     false,
		1<<63 | uint64(f.first)<<16:                           false,
	} {
		if i, ok := f.at(pc); ok != want || ok && (i < 0 || i >= len(f.descriptions)) {
			t.Errorf("%#x is in function %d: %v; want %v", pc, i, ok, want)
		}
	}
}

// Where the tables are not quite as expected, none are found.
func TestFindFunctionsRefuses(t *testing.T) {
	f := guestFunctions(t)
	memory, header, module := f.memory, f.header, f.module
	index := header + int(word(memory, header+headerFunctions))
	first := index + int(halfWord(memory, index+4))
	for name, change := range map[string]func(b []byte){
		"other magic":            func(b []byte) { b[header]-- },
		"no functions":           func(b []byte) { clear(b[header+headerCount : header+headerCount+8]) },
		"more functions":         func(b []byte) { b[header+headerCount]++ },
		"very many functions":    func(b []byte) { putWord(b, header+headerCount, 1<<63) },
		"parts out of order":     func(b []byte) { putWord(b, header+headerUnits, 1<<40) },
		"parts beyond memory":    func(b []byte) { putWord(b, header+headerFunctions, 1<<40) },
		"functions out of order": func(b []byte) { b[index+functionIndexEntry]++ },
		"description beyond":     func(b []byte) { putHalfWord(b, index+4, 1<<31) },
		"description of another": func(b []byte) { b[first+functionEntry]++ },
		"very many lists":        func(b []byte) { putHalfWord(b, first+functionListCount, 1<<32-1) },
		"not listed":             func(b []byte) { b[module]++ },
		"other index":            func(b []byte) { b[module+8*moduleIndex]++ },
		"other lists":            func(b []byte) { b[module+8*(modulePart+9)]++ },
		"types beyond memory":    func(b []byte) { putWord(b, module+8*moduleTypesEnd, 1<<40) },
		"types out of order":     func(b []byte) { putWord(b, module+8*moduleTypesEnd, 0) },
		"facts beyond memory":    func(b []byte) { putWord(b, module+8*moduleFacts, 1<<40) },
		"end beyond memory":      func(b []byte) { putWord(b, module+8*moduleTablesEnd, 1<<63) },
		"inits beyond memory":    func(b []byte) { putWord(b, module+8*moduleInits, 1<<63) },
		"very many inits":        func(b []byte) { putWord(b, module+8*(moduleInits+1), 1<<62) },
	} {
		b := bytes.Clone(memory)
		change(b)
		if findFunctions(b) != nil {
			t.Errorf("%s: the tables were found", name)
		}
	}
	for _, n := range []int{0, 1, headerSize - 1, header, header + headerSize - 1, header + headerSize, index, first + functionLists - 1, module + 8} {
		if findFunctions(memory[:n:n]) != nil {
			t.Errorf("tables were found in %d bytes of memory", n)
		}
	}
}

// What is cleared of functions that are all kept, and that nothing but zeroes takes its place, save for marks
// that there is no fact.
func TestClearTables(t *testing.T) {
	f := guestFunctions(t)
	before := bytes.Clone(f.memory)
	n := len(f.descriptions)
	f.clearTables(all(n), make([]bool, n), make([]bool, n))
	cleared := 0
	for i := range f.memory {
		switch {
		case f.memory[i] == before[i]:
		case f.memory[i] == 0:
			cleared++
		case f.memory[i] != 0xff:
			t.Fatalf("at %#x, %#x became %#x", i, before[i], f.memory[i])
		}
	}
	t.Logf("%d bytes cleared", cleared)
	if a, b := dataSize(before), dataSize(f.memory); b > a*3/5 {
		t.Errorf("memory shrank from %d bytes to %d only; were the hints not found?", a, b)
	}
	if f.name(0) != "" {
		t.Error("there are still names of functions")
	}
	again := bytes.Clone(f.memory)
	f.clearTables(all(n), make([]bool, n), make([]bool, n))
	if !bytes.Equal(again, f.memory) {
		t.Error("the second time clears something else")
	}
	// Without any function, there is next to nothing.
	f.clearTables(make([]bool, n), make([]bool, n), make([]bool, n))
	for i, d := range f.descriptions {
		if zeroRun(d) != len(d) {
			t.Errorf("of function %d, something is left", i)
		}
	}
	if used := f.lists[1:]; zeroRun(used) != len(used) {
		t.Error("there are still lists")
	}
}

// A list that is not as expected is a reason to leave all of the tables alone.
func TestClearTablesLeavesOthers(t *testing.T) {
	f := guestFunctions(t)
	memory, header := f.memory, f.header
	lists, index := header+int(word(memory, header+headerValues)), header+int(word(memory, header+headerFunctions))
	first := index + int(halfWord(memory, index+4))
	for name, change := range map[string]func(b []byte){
		"list beyond memory":      func(b []byte) { putHalfWord(b, first+functionSP, 1<<31) },
		"list of broken integers": func(b []byte) { clearTo(b[lists:index], 0xff) },
		"list that does not end":  func(b []byte) { clearTo(b[lists:index], 0x01) },
		"another list's bad start": func(b []byte) {
			putHalfWord(b, first+functionLists+4, 1<<31)
			putHalfWord(b, first+functionListCount, 2)
		},
	} {
		b := bytes.Clone(memory)
		change(b)
		want := bytes.Clone(b)
		f := findFunctions(b)
		if f == nil {
			t.Errorf("%s: no tables", name)
			continue
		}
		n := len(f.descriptions)
		if f.clearTables(all(n), make([]bool, n), all(n)); !bytes.Equal(b, want) {
			t.Errorf("%s: memory was changed", name)
		}
	}
}

// Hints that are not as expected stay.
func TestClearHintsLeavesOthers(t *testing.T) {
	f := guestFunctions(t)
	memory, module, n := f.memory, f.module, len(f.descriptions)
	hints := int(word(memory, module+8*moduleHints))
	for name, change := range map[string]func(b []byte){
		"beyond memory":  func(b []byte) { putWord(b, module+8*moduleHints, 1<<63) },
		"at the end":     func(b []byte) { putWord(b, module+8*moduleHints, uint64(len(b))-bucketSize) },
		"other function": func(b []byte) { b[hints+bucketSize*bucketsPerFunction*(n/2)]++ },
		"with an offset": func(b []byte) { b[hints+bucketSize*bucketsPerFunction*(n-1)-1]++ },
	} {
		b := bytes.Clone(memory)
		change(b)
		want := bytes.Clone(b)
		f := findFunctions(b)
		if f == nil {
			t.Errorf("%s: no tables", name)
			continue
		}
		if f.clearHints(); !bytes.Equal(b, want) {
			t.Errorf("%s: memory was changed", name)
		}
	}
}

func putWord(b []byte, at int, v uint64)     { binary.LittleEndian.PutUint64(b[at:], v) }
func putHalfWord(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }

func clearTo(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}
