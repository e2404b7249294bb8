package block

// Challenge is a CHALLENGE, or the ECHO of one.
type Challenge struct {
	Peer      Peer // CHALLENGE: whose freshness is to be proven. ECHO: who asked
	Challenge [16]byte
}

const challengeSize = 16

// AppendChallenge appends a CHALLENGE.
func AppendChallenge(dst []byte, c *Challenge) ([]byte, error) {
	return appendChallenge(dst, TypeChallenge, c)
}

// AppendEcho appends an ECHO.
func AppendEcho(dst []byte, c *Challenge) ([]byte, error) {
	return appendChallenge(dst, TypeEcho, c)
}

func appendChallenge(dst []byte, t Type, c *Challenge) ([]byte, error) {
	p := appendPeer(begin(dst, t), &c.Peer)
	return end(dst, append(p, c.Challenge[:]...))
}

// Challenge decodes a CHALLENGE or an ECHO.
func (b Block) Challenge() (Challenge, error) {
	p := b.Payload
	if len(p) < peerSize+challengeSize {
		return Challenge{}, ErrShort
	}
	peer, err := peerOf(p)
	if err != nil {
		return Challenge{}, err
	}
	return Challenge{peer, [challengeSize]byte(p[peerSize:])}, nil
}
