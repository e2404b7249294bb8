package frame

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
)

// KeySize is the number of bytes of a key.
const KeySize = 32

// Key is what the directors of a cluster share. It is comparable; the zero
// value is no key. Printed in any way, it is its ID: it does not get into a log
// by accident.
type Key struct{ octets [KeySize]byte }

// KeyID tells keys apart without giving them away: one in 65,536 pairs of keys
// has the same.
type KeyID uint16

// String returns four hexadecimal digits.
func (id KeyID) String() string { return fmt.Sprintf("%04x", uint16(id)) }

// NewKey returns the key of these bytes, which should be random ones.
func NewKey(octets [KeySize]byte) Key { return Key{octets} }

// GenerateKey returns a new key out of random, nil for the system's generator.
func GenerateKey(random io.Reader) (Key, error) {
	if random == nil {
		random = rand.Reader
	}
	var k Key
	if _, err := io.ReadFull(random, k.octets[:]); err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrRandom, err)
	}
	return k, nil
}

// Valid reports whether it is a key: not zeros.
func (k Key) Valid() bool { return k != Key{} }

// ID returns the first two bytes of SHA-256 of "ssyncp key ID" and the key.
func (k Key) ID() KeyID {
	h := sha256.New()
	h.Write([]byte("ssyncp key ID"))
	h.Write(k.octets[:])
	return KeyID(binary.BigEndian.Uint16(h.Sum(nil)))
}

// Format writes "key" and its ID, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, "key ", k.ID()) }

// keyFilePrefix names the format of a key file.
const keyFilePrefix = "ssyncp-key-1:"

// ParseKeyFile returns the key of a key file's contents: one line, with a
// newline at its end or without. The error is [ErrKeyFile] or [ErrNoKey]; it
// does not have a part of the text.
func ParseKeyFile(text []byte) (Key, error) {
	encoded, ok := bytes.CutPrefix(bytes.TrimSuffix(text, []byte("\n")), []byte(keyFilePrefix))
	// The decoder skips newlines, so the length is checked first, and what is
	// left of it afterwards.
	if !ok || len(encoded) != base64.StdEncoding.EncodedLen(KeySize) {
		return Key{}, ErrKeyFile
	}
	octets, err := base64.StdEncoding.Strict().AppendDecode(nil, encoded)
	if err != nil || len(octets) != KeySize {
		return Key{}, ErrKeyFile
	}
	k := Key{[KeySize]byte(octets)}
	if !k.Valid() {
		return Key{}, ErrNoKey
	}
	return k, nil
}

// AppendKeyFile appends the contents of the key file of k, which is the key
// itself, to be kept as one.
func AppendKeyFile(dst []byte, k Key) []byte {
	dst = append(dst, keyFilePrefix...)
	dst = base64.StdEncoding.AppendEncode(dst, k.octets[:])
	return append(dst, '\n')
}
