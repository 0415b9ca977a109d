package main

// minGap is the length of the shortest run of zeroes that ends a data segment. A segment costs 9 bytes
// or so; with shorter gaps the file gets smaller, but compresses less well and takes longer to
// instantiate.
const minGap = 32

// segments returns the data segments that make an empty memory into this one.
func segments(memory []byte) []segment {
	var s []segment
	for pos := 0; ; {
		start := pos + zeroRun(memory[pos:])
		if start == len(memory) {
			return s
		}
		end := start
		for pos = start; ; {
			for pos < len(memory) && memory[pos] != 0 {
				pos++
			}
			end = pos
			gap := zeroRun(memory[pos:])
			pos += gap
			if gap >= minGap || pos == len(memory) {
				break
			}
		}
		s = append(s, segment{offset: uint32(start), bytes: memory[start:end:end]})
	}
}

// zeroRun returns how many zeroes b begins with.
func zeroRun(b []byte) int {
	for i, c := range b {
		if c != 0 {
			return i
		}
	}
	return len(b)
}
