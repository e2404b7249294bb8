package block

import "slices"

// AppendProbe appends a PROBE of size bytes in all, at least [HeadSize].
func AppendProbe(dst []byte, size int) ([]byte, error) {
	switch {
	case size < HeadSize:
		return dst, ErrShort
	case size > HeadSize+MaxLength:
		return dst, ErrTooLong
	}
	p := begin(slices.Grow(dst, size), TypeProbe)
	zeros := p[len(p) : len(dst)+size]
	clear(zeros)
	return end(dst, p[:len(dst)+size])
}
