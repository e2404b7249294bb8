package chardev

// Events are what the reader of a capture device must know.
type Events uint32

// Events of a [Batch].
const (
	EventLost          Events = 0x01 // news was dropped: heal it by a snapshot
	EventMasterRunning Events = 0x02 // the in-kernel sync master runs: nothing is captured
	EventMasterStopped Events = 0x04 // it stopped, capture goes on; EventLost comes with it
)

func (e Events) String() string { return bitNames(uint32(e), eventNames[:]) }
