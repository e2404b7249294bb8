package transport_test

import "testing"

// Sending and receiving allocate nothing per datagram.
func BenchmarkLink(b *testing.B) {
	l := newLab(b)
	for _, m := range modes {
		b.Run(m.name, func(b *testing.B) {
			sender, receiver := open(b, l.peer, m.peerOptions()), open(b, l.here, m.options())
			frames := make([][]byte, 64)
			for i := range frames {
				frames[i] = make([]byte, sender.Room())
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sender.Send(frames); err != nil {
					b.Fatal(err)
				}
				for n := 0; n < len(frames); {
					got, err := receiver.Receive()
					if err != nil {
						b.Fatal(err)
					}
					n += len(got)
				}
			}
			b.ReportMetric(float64(len(frames))*float64(b.N)/b.Elapsed().Seconds(), "datagrams/s")
		})
	}
}
