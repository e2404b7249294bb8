package advert

import "encoding/binary"

// Sizes in bytes of what is before the fields of an entry, and before the value
// of each of them.
const (
	FieldsHead = 2
	FieldHead  = 2
)

// Mandatory in the type of a field says that an entry is refused by who does
// not know it.
const Mandatory = 0x80

// checkFields proves that the fields that begin at p[at] fill their length, and
// returns where they end.
func checkFields(p []byte, at int) (int, error) {
	if len(p) < at+FieldsHead {
		return 0, ErrTruncated
	}
	end := at + FieldsHead + int(binary.BigEndian.Uint16(p[at:]))
	if len(p) < end {
		return 0, ErrTruncated
	}
	for at += FieldsHead; at < end; {
		if end-at < FieldHead {
			return 0, ErrFields
		}
		at += FieldHead + int(p[at+1])
	}
	if at != end {
		return 0, ErrFields
	}
	return end, nil
}

// Fields goes through fields that were checked.
type Fields struct {
	Type  uint8
	Twice bool // another one of that type came before
	Value []byte

	left []byte
	seen [4]uint64 // a bit for every type
}

// TakeFields returns the fields at the start of p, and what is behind them.
func TakeFields(p []byte) (f Fields, behind []byte) {
	n := FieldsHead + int(binary.BigEndian.Uint16(p))
	return Fields{left: p[FieldsHead:n]}, p[n:]
}

// Next goes on to the next field, and reports whether there is one.
func (f *Fields) Next() bool {
	if len(f.left) == 0 {
		return false
	}
	f.Type, f.Value = f.left[0], f.left[FieldHead:FieldHead+int(f.left[1])]
	f.left = f.left[FieldHead+len(f.Value):]
	bit := uint64(1) << (f.Type % 64)
	f.Twice = f.seen[f.Type/64]&bit != 0
	f.seen[f.Type/64] |= bit
	return true
}
