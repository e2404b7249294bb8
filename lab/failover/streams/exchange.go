package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

const (
	questionLen = 8
	answerLen   = 16
)

// instance names one start of one real server, at random.
type instance uint64

var errNonce = errors.New("an answer to another question")

func putQuestion(b []byte, nonce uint64) { binary.BigEndian.PutUint64(b, nonce) }

func putAnswer(b, question []byte, id instance) {
	copy(b, question)
	binary.BigEndian.PutUint64(b[questionLen:], uint64(id))
}

func parseAnswer(b []byte, nonce uint64) (instance, error) {
	if got := binary.BigEndian.Uint64(b); got != nonce {
		return 0, fmt.Errorf("%w: %x, not %x", errNonce, got, nonce)
	}
	return instance(binary.BigEndian.Uint64(b[questionLen:])), nil
}

// ask makes one exchange on a TCP connection.
func ask(conn net.Conn, nonce uint64) (instance, error) {
	var buffer [answerLen]byte
	putQuestion(buffer[:], nonce)
	if _, err := conn.Write(buffer[:questionLen]); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(conn, buffer[:]); err != nil {
		return 0, err
	}
	return parseAnswer(buffer[:], nonce)
}

// ending tells how a stream ended from the error that ended it.
func ending(err error) verdict.Outcome {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) {
		return verdict.Hung
	}
	return verdict.Reset
}
