package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// What a busy director has: 100 services, 1,000 real servers with ports of their
// own, four states, clients from anywhere.
const (
	distinct = 1 << 17 // connections, told again and again
	services = 100
	servers  = 1000
)

// content is what the sender tells, and what the receiver wants to be told: for
// both it is made of the numbers of connections alone.
type content struct {
	size    int    // of a record
	records []byte // with those of the first connections again behind the last one
	age     int    // offset of the age in a record
	client  int    // offset of the client's address
}

var (
	states   = [...]ipvs.State{ipvs.TCPEstablished, ipvs.TCPSynRecv, ipvs.TCPFinWait, ipvs.TCPTimeWait}
	timeouts = [...]time.Duration{15 * time.Minute, time.Minute, 2 * time.Minute, 2 * time.Minute}
)

// conn returns the connection of a number.
func conn(number uint32) ipvs.Conn {
	client := scramble(number)
	other := scramble(client + 1) // as good as random, too
	server := other % servers
	service := server % services
	profile := other >> 30
	return ipvs.Conn{
		Protocol: ipvs.TCP,
		Client:   netip.AddrPortFrom(addr(client), uint16(1024+other>>16%64512)),
		Virtual:  netip.AddrPortFrom(addr(0xc6336400+service/4), uint16(80+service%4)),
		Dest:     netip.AddrPortFrom(addr(0x0a000000+server), uint16(8000+server%50)),
		State:    states[profile],
		Timeout:  timeouts[profile],
	}
}

func addr(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

// The factors, and what takes them back modulo 2^32.
const (
	factor1, inverse1 = 0x9e3779b1, 0x0e8b2f51
	factor2, inverse2 = 0x85ebca6b, 0xa5cb9243
)

// scramble is a permutation of the numbers of 32 bits that looks random.
func scramble(x uint32) uint32 {
	x *= factor1
	x ^= x >> 16
	x *= factor2
	return x ^ x>>16
}

// unscramble takes it back.
func unscramble(x uint32) uint32 {
	x ^= x >> 16
	x *= inverse2
	x ^= x >> 16
	return x * inverse1
}

var errLayout = errors.New("records are not laid out as they are taken for")

// newContent makes the records. A read returns up to batch bytes of them in one
// piece.
func newContent(batch int) (*content, error) {
	c := &content{}
	for number := uint32(0); len(c.records) < distinct*c.size+batch || number < distinct; number++ {
		conn := conn(number % distinct)
		record, err := chardev.AppendRecord(c.records, &conn)
		if err != nil {
			return nil, err
		}
		if c.size == 0 {
			c.size = len(record)
		}
		c.records = record
	}
	return c, c.layOut()
}

// layOut looks where records have what the receiver reads.
func (c *content) layOut() error {
	first := conn(0)
	plain := c.record(0)
	find := func(change func(*ipvs.Conn)) int {
		other := first
		change(&other)
		record, err := chardev.AppendRecord(nil, &other)
		if err != nil || len(record) != len(plain) {
			return -1
		}
		for i := range plain {
			if plain[i] != record[i] {
				return i
			}
		}
		return -1
	}
	c.age = find(func(x *ipvs.Conn) { x.Age = 0x01010101 * time.Millisecond })
	a := first.Client.Addr().As4()
	for i := range a {
		a[i] = ^a[i]
	}
	c.client = find(func(x *ipvs.Conn) { x.Client = netip.AddrPortFrom(netip.AddrFrom4(a), first.Client.Port()) })
	if c.age < 0 || c.client < 0 || unscramble(scramble(distinct)) != distinct {
		return fmt.Errorf("pipeline: %w", errLayout)
	}
	return nil
}

func (c *content) record(number uint32) []byte {
	return c.records[int(number)*c.size : (int(number)+1)*c.size]
}

// oldest is how old a connection may be that has just been told: what the queue,
// the link and the daemons may hold it.
const oldest = 10 * time.Second

// verify returns the number of the connection that records begin with, and
// whether everything in it is as it was told. Its age is what it was held.
func (c *content) verify(records []byte) (number uint32, ok bool) {
	if len(records) < c.size {
		return 0, false
	}
	r := records[:c.size]
	number = unscramble(binary.BigEndian.Uint32(r[c.client:]))
	if number >= distinct {
		return 0, false
	}
	want := c.record(number)
	return number, bytes.Equal(r[:c.age], want[:c.age]) && bytes.Equal(r[c.age+4:], want[c.age+4:]) &&
		binary.NativeEndian.Uint32(r[c.age:]) < uint32(oldest/time.Millisecond)
}
