package block

// AppendProbe appends a PROBE of size bytes in all, at least [HeadSize].
func AppendProbe(dst []byte, size int) ([]byte, error) {
	switch {
	case size < HeadSize:
		return dst, ErrShort
	case size > HeadSize+MaxLength:
		return dst, ErrTooLong
	}
	return end(dst, append(begin(dst, TypeProbe), make([]byte, size-HeadSize)...))
}
