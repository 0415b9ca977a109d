package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"
)

// guestMemory returns what memory holds once testGuest has started, with its tables, and where those
// begin.
func guestMemory(t *testing.T) (memory []byte, header int) {
	t.Helper()
	s, err := runGuest(context.Background(), mustParse(t, builtGuest(t)))
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at+headerSize <= len(s.memory); at += 8 {
		if word(s.memory, at) == headerMagicGo120 {
			return s.memory, at
		}
	}
	t.Fatal("there is no table of functions in memory")
	return nil, 0
}

// This version of Go lays out its tables as this program thinks. Otherwise the module is larger than it
// has to be, and tables.go out of date.
func TestClearTables(t *testing.T) {
	memory, _ := guestMemory(t)
	before := bytes.Clone(memory)
	if !clearTables(memory) {
		t.Fatal("the tables were not found")
	}
	cleared, changed := 0, 0
	for i := range memory {
		switch {
		case memory[i] == before[i]:
		case memory[i] == 0:
			cleared++
		default:
			changed++
		}
	}
	t.Logf("%d bytes cleared", cleared)
	if changed > 0 {
		t.Errorf("%d bytes became something else than zero", changed)
	}
	size := func(memory []byte) (n int) {
		for _, s := range segments(memory) {
			n += len(s.bytes)
		}
		return n
	}
	if a, b := size(before), size(memory); b > a*2/3 {
		t.Errorf("memory shrank from %d bytes to %d only; were the hints not found?", a, b)
	}
	again := bytes.Clone(memory)
	clearTables(again)
	if !bytes.Equal(again, memory) {
		t.Error("the second time clears something else")
	}
}

// Where the tables are not quite as expected, nothing is touched.
func TestClearTablesLeavesOthers(t *testing.T) {
	memory, header := guestMemory(t)
	functions := header + int(word(memory, header+headerFunctions))
	first := functions + int(halfWord(memory, functions+4))
	for name, change := range map[string]func(b []byte){
		"other magic":              func(b []byte) { b[header]-- },
		"no functions":             func(b []byte) { clear(b[header+headerCount : header+headerCount+8]) },
		"more functions":           func(b []byte) { b[header+headerCount]++ },
		"very many functions":      func(b []byte) { putWord(b, header+headerCount, 1<<63) },
		"parts out of order":       func(b []byte) { putWord(b, header+headerUnits, 1<<40) },
		"parts beyond memory":      func(b []byte) { putWord(b, header+headerFunctions, 1<<40) },
		"functions out of order":   func(b []byte) { b[functions+functionIndexEntry]++ },
		"description beyond":       func(b []byte) { putHalfWord(b, functions+4, 1<<31) },
		"description of another":   func(b []byte) { b[first+functionEntry]++ },
		"very many lists":          func(b []byte) { putHalfWord(b, first+functionListCount, 1<<32-1) },
		"list beyond memory":       func(b []byte) { putHalfWord(b, first+functionSP, 1<<31) },
		"list of broken integers":  func(b []byte) { clearTo(b[header+int(word(b, header+headerValues)):functions], 0xff) },
		"list that does not end":   func(b []byte) { clearTo(b[header+int(word(b, header+headerValues)):functions], 0x01) },
		"another list's bad start": func(b []byte) { putHalfWord(b, first+functionLists, 1<<31); putHalfWord(b, first+functionListCount, 1) },
	} {
		b := bytes.Clone(memory)
		change(b)
		want := bytes.Clone(b)
		if clearTables(b) || !bytes.Equal(b, want) {
			t.Errorf("%s: memory was changed", name)
		}
	}
	for _, n := range []int{0, 1, headerSize - 1, header, header + headerSize - 1, header + headerSize, functions, first + functionLists - 1} {
		b := bytes.Clone(memory[:n])
		if clearTables(b) || !bytes.Equal(b, memory[:n]) {
			t.Errorf("%d bytes of memory were changed", n)
		}
	}
}

// Hints that are not as expected stay, and so do those that nothing refers to.
func TestClearHintsLeavesOthers(t *testing.T) {
	memory, header := guestMemory(t)
	n := int(word(memory, header+headerCount))
	module := -1
	for at := 0; at+8*moduleWordCount <= len(memory); at += 8 {
		if word(memory, at) == uint64(header) && word(memory, at+8*(moduleIndex+1)) == uint64(n)+1 {
			module = at
		}
	}
	if module < 0 {
		t.Fatal("there is no moduledata")
	}
	hints := int(word(memory, module+8*moduleHints))
	for name, change := range map[string]func(b []byte){
		"not listed":     func(b []byte) { b[module]++ },
		"other index":    func(b []byte) { b[module+8*moduleIndex]++ },
		"beyond memory":  func(b []byte) { putWord(b, module+8*moduleHints, 1<<63) },
		"at the end":     func(b []byte) { putWord(b, module+8*moduleHints, uint64(len(b))-bucketSize) },
		"other function": func(b []byte) { b[hints+bucketSize*bucketsPerFunction*(n/2)]++ },
		"with an offset": func(b []byte) { b[hints+bucketSize*bucketsPerFunction*(n-1)-1]++ },
	} {
		b := bytes.Clone(memory)
		change(b)
		want := bytes.Clone(b)
		clearHints(b, header)
		if !bytes.Equal(b, want) {
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
