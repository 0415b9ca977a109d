package pgstore

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/agentassert/agentassert/internal/postgres"
)

const (
	// sealVersion is the first byte of what is sealed. Then come the nonce and
	// the ciphertext.
	sealVersion = 1
	// sealContext begins what is authenticated beside a record.
	sealContext = "agentassert pgstore record v1"
	sealHeader  = 1 + chacha20poly1305.NonceSizeX
	// maxSealed is the largest record, sealed, in bytes.
	maxSealed = sealHeader + maxRecord + chacha20poly1305.Overhead
)

// sealer seals the records of one name in one table.
type sealer struct {
	table postgres.Table
	name  string
	// keys open records; the first one seals them.
	keys []cipher.AEAD
}

func newSealer(table postgres.Table, name string, keys []Key) (*sealer, error) {
	s := &sealer{table: table, name: name}
	for _, key := range keys {
		aead, err := chacha20poly1305.NewX(key[:])
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, aead)
	}
	return s, nil
}

// of returns what seals the records of another name.
func (s sealer) of(name string) *sealer {
	s.name = name
	return &s
}

// associated is what is authenticated beside a slot's record: what it is, in which
// table, and whose. The lengths keep these apart.
func (s *sealer) associated(slot string) []byte {
	data := append([]byte(sealContext), sealVersion)
	for _, part := range []string{s.table.Schema, s.table.Name, s.name} {
		data = binary.BigEndian.AppendUint32(data, uint32(len(part)))
		data = append(data, part...)
	}
	return append(data, slot...)
}

func (s *sealer) seal(slot string, record []byte) []byte {
	sealed := make([]byte, sealHeader, sealHeader+len(record)+chacha20poly1305.Overhead)
	sealed[0] = sealVersion
	nonce := sealed[1:]
	_, _ = rand.Read(nonce) // it never fails: see crypto/rand
	return s.keys[0].Seal(sealed, nonce, record, s.associated(slot))
}

// open returns the record, and which key opened it.
func (s *sealer) open(slot string, sealed []byte) (record []byte, key int, err error) {
	if len(sealed) >= sealHeader && sealed[0] == sealVersion {
		for i, aead := range s.keys {
			record, err := aead.Open([]byte{}, sealed[1:sealHeader], sealed[sealHeader:], s.associated(slot))
			if err == nil {
				return record, i, nil
			}
		}
	}
	return nil, 0, postgres.Fail(CodeWrongKey, "a record cannot be opened; supply the key that it was sealed with, or delete it if the row was changed, or comes from another table or name: also a table that was renamed, or moved to another schema, is another one", nil)
}
