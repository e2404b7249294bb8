package transport

import (
	"iter"
	"unsafe"

	"golang.org/x/sys/unix"
)

func controlMessage(level, kind int32, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.SetLen(unix.CmsgLen(len(data)))
	h.Level, h.Type = level, kind
	copy(b[unix.CmsgLen(0):], data)
	return b
}

// controlMessages goes over the control messages of a datagram. It ends where
// one is broken.
func controlMessages(oob []byte) iter.Seq2[*unix.Cmsghdr, []byte] {
	return func(yield func(h *unix.Cmsghdr, data []byte) bool) {
		for len(oob) >= unix.SizeofCmsghdr {
			h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
			if h.Len < unix.SizeofCmsghdr || h.Len > uint64(len(oob)) {
				return
			}
			data := oob[unix.CmsgLen(0):h.Len]
			if !yield(h, data) {
				return
			}
			oob = oob[min(unix.CmsgSpace(len(data)), len(oob)):]
		}
	}
}
