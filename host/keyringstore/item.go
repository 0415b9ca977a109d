package keyringstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
)

const (
	// formatVersion is the version of a head's form.
	formatVersion = 1
	// chunk is how many bytes of a record an item holds. As base64 within JSON,
	// and once more as base64 on macOS, it stays below every keyring's limit.
	chunk = 1500
	// maxRecord is the largest record, in bytes.
	maxRecord = 512 << 10
	maxParts  = maxRecord / chunk
)

// A generation is one of two sets of parts that a slot has.
type generation string

const (
	generationA generation = "a"
	generationB generation = "b"
)

// other returns the generation that is not in use.
func (g generation) other() generation {
	if g == generationA {
		return generationB
	}
	return generationA
}

// head is a slot's first item, as JSON.
type head struct {
	Version    int        `json:"v"`
	Generation generation `json:"generation"`
	// Parts is how many more items there are, from 1.
	Parts int `json:"parts"`
	// Sum is the SHA-256 of the record.
	Sum []byte `json:"sha256"`
	// Data is the record's first chunk.
	Data []byte `json:"data"`
}

// split returns the head of a record, and its parts' contents.
func split(record []byte, g generation) (*head, [][]byte) {
	sum := sha256.Sum256(record)
	first := record[:min(chunk, len(record))]
	parts := slices.Collect(slices.Chunk(record[len(first):], chunk))
	return &head{Version: formatVersion, Generation: g, Parts: len(parts), Sum: sum[:], Data: first}, parts
}

// holds reports whether record is the one that the head was made for.
func (h *head) holds(record []byte) bool {
	sum := sha256.Sum256(record)
	return bytes.Equal(sum[:], h.Sum)
}

// parseHead returns the head in an item's value, or nil if that is not one.
func parseHead(value string) *head {
	h := new(head)
	if json.Unmarshal([]byte(value), h) != nil || h.Version != formatVersion ||
		h.Generation != generationA && h.Generation != generationB || h.Parts < 0 || h.Parts > maxParts {
		return nil
	}
	return h
}

// item returns the name of a slot's head.
func (s *Store) item(slot string) string {
	sum := sha256.Sum256([]byte(s.service + "\x00" + s.account + "\x00" + slot))
	return s.account + "." + hex.EncodeToString(sum[:])
}

// part returns the name of the n-th part, from 1.
func part(item string, g generation, n int) string {
	return item + "." + string(g) + "." + strconv.Itoa(n)
}
