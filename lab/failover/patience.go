package main

// Everybody is patient. In an emulated guest on a busy machine an answer can
// take longer than the 200 ms after which TCP takes a packet for lost; what is
// then sent once more delays everything else, until nothing gets through. So
// the first retransmission waits for a second, as that of a SYN does, and no
// probe precedes it.
const (
	patientRoute  = "rto_min 1s"
	patientSysctl = "net.ipv4.tcp_early_retrans=0"
)
