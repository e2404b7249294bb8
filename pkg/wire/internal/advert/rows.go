package advert

import "github.com/ssyncp/ssyncp/pkg/wire/internal/compact"

// Tables are what the entries of one block refer to. An entry begins with the
// indexes of its destination and its profile, and a destination with that of its
// parent, which is a service or a path. Behind the first index of a row is its
// definition. Each method makes a row of the definition at the start of p, and
// says what there is to know of it to go through entries. Errors are
// [ErrMalformed] to errors.Is.
type Tables interface {
	// DefineParent returns the size of the definition.
	DefineParent(row int, p []byte) (int, error)
	// DefineDest makes a destination of that parent, whose index and
	// definition are before p.
	DefineDest(row, parent int, p []byte) (Dest, error)
	DefineProfile(row int, p []byte) (Profile, error)
}

// Dest has sizes in bytes.
type Dest struct {
	Size   uint8 // of its definition
	Before uint8 // of what is between the indexes and the age of each entry
}

// Profile has sizes in bytes.
type Profile struct {
	Size   uint8 // of its definition
	Behind uint8 // of what is between the age and the fields of each entry
	Fields bool  // each entry has got some
}

// IndexSize is the size of an index in bytes.
const IndexSize = 1

// MinEntrySize is the size of an entry which has nothing new: two indexes, a
// port, an address and an age.
const MinEntrySize = 2*IndexSize + 2 + compact.IPv4Size + 1

// rows are those of a block, complete. Here the definition of a destination is
// with the index and the definition of its parent.
type rows struct {
	dests    [compact.MaxRows]Dest
	profiles [compact.MaxRows]Profile
}

// load proves that there are count entries and nothing else, and makes all rows.
func (r *rows) load(t Tables, entries []byte, count int) error {
	p := entries
	parents, dests, profiles := 0, 0, 0
	for range count {
		// The shortest entry: what follows an index is checked there.
		if len(p) < MinEntrySize {
			if len(p) == 0 {
				return ErrCount
			}
			return ErrTruncated
		}
		row := int(p[0])
		p = p[IndexSize:]
		if row >= dests {
			if row > dests {
				return ErrIndex
			}
			definition := len(p)
			parent := int(p[0])
			p = p[IndexSize:]
			if parent >= parents {
				if parent > parents {
					return ErrIndex
				}
				n, err := t.DefineParent(parent, p)
				if err != nil {
					return err
				}
				p = p[n:]
				parents++
			}
			d, err := t.DefineDest(row, parent, p)
			if err != nil {
				return err
			}
			p = p[d.Size:]
			d.Size = uint8(definition - len(p))
			r.dests[row] = d
			dests++
		}
		size := int(r.dests[row].Before)

		if len(p) < IndexSize {
			return ErrTruncated
		}
		row = int(p[0])
		p = p[IndexSize:]
		if row >= profiles {
			if row > profiles {
				return ErrIndex
			}
			f, err := t.DefineProfile(row, p)
			if err != nil {
				return err
			}
			r.profiles[row] = f
			p = p[f.Size:]
			profiles++
		}
		f := r.profiles[row]

		if len(p) <= size {
			return ErrTruncated
		}
		if p[size] < 0x80 {
			size++
		} else {
			n, err := varintSize(p[size:])
			if err != nil {
				return err
			}
			size += n
		}
		size += int(f.Behind)
		if f.Fields {
			n, err := checkFields(p, size)
			if err != nil {
				return err
			}
			size = n
		}
		if len(p) < size {
			return ErrTruncated
		}
		p = p[size:]
	}
	if len(p) != 0 {
		return ErrCount
	}
	return nil
}

// varintSize returns the size of the number at the start of p.
func varintSize(p []byte) (int, error) {
	_, n := compact.Varint(p)
	switch {
	case n != 0:
		return n, nil
	case compact.CutOff(p):
		return 0, ErrTruncated
	}
	return 0, ErrVarint
}
